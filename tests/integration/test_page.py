"""The page at /, as a person sees it: in a real browser, over a daemon that replicates."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.fixtures.browser import Open
from tests.fixtures.kafka_broker import Address
from tests.fixtures.line import Replica
from tests.fixtures.page import HOSTILE, is_content, served
from tests.fixtures.postgres import Database
from tests.fixtures.writer import busy

PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "device_scale_factor": 2}
DESK = {"viewport": {"width": 1200, "height": 900}}


def changing(database: Database) -> AbstractContextManager[None]:
    """A busy source."""

    def changes() -> Iterator[str]:
        yield f"insert into orders select from generate_series(1, {random.randint(1, 300)})"
        yield f"update person set name = name || '.' where id % 10 = {random.randint(0, 9)}"

    return busy(database, changes, lambda: random.random() / 5)


@pytest.mark.parametrize("settings", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_shows_the_line_in_motion(
    shop: Database, tmp_path: Path, open_page: Open, settings: dict[str, object]
) -> None:
    with (
        served(Replica(shop, tmp_path)) as (running, address),
        changing(shop),
        open_page(address, **settings) as seen,
    ):
        running.wait_live()
        page = seen.page
        expect(page.locator("#state")).to_have_text("streaming")
        expect(page.locator("#line")).to_contain_text(str(tmp_path))
        expect(page.locator("#tables")).to_contain_text(f"public.{HOSTILE}")
        expect(page.locator("#tables .pill.good")).to_have_count(3)
        expect(page.locator("#line .pipe.moving")).to_have_count(1)
        expect(page.locator("#behind path")).to_have_attribute("d", re.compile("M.*L"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            "it must not scroll sideways"
        )
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 21, 27)"
        assert dark == (settings.get("color_scheme") == "dark")
        page.fill("#filter", "person")
        expect(page.locator("#tables tbody tr")).to_have_count(1)
        page.fill("#filter", "")
        is_content(seen, address)


def test_a_table_that_was_set_aside_says_why_and_what_mends_it(
    shop: Database, tmp_path: Path, open_page: Open
) -> None:
    with served(Replica(shop, tmp_path)) as (running, address), open_page(address) as seen:
        running.wait_live()
        running.daemon.book.table_refused(
            "public.person", "it was dropped", "`cdc resync public.person` copies it anew"
        )
        row = seen.page.locator("#tables tbody tr").first  # what needs a person stands first
        expect(row).to_contain_text("parked")
        expect(row).to_contain_text("it was dropped")
        expect(row.locator("code")).to_have_text("cdc resync public.person")
        is_content(seen, address)


def test_a_daemon_that_is_gone_is_told_and_what_was_known_is_marked(
    shop: Database, tmp_path: Path, open_page: Open
) -> None:
    with served(Replica(shop, tmp_path)) as (_, address), open_page(address) as seen:
        expect(seen.page.locator("#state")).to_have_text("streaming")
        context = seen.page.context
        context.set_offline(True)
        expect(seen.page.locator("#banner")).to_contain_text("does not answer", timeout=20_000)
        expect(seen.page.locator("main")).to_have_class("stale")
        context.set_offline(False)
        expect(seen.page.locator("#state")).to_have_text("streaming", timeout=20_000)
        expect(seen.page.locator("#banner")).to_be_hidden()


def test_with_kafka_the_topics_are_a_stop_of_their_own(
    shop: Database, tmp_path: Path, open_page: Open, kafka: Address, prefix: str
) -> None:
    transport = {"kind": "kafka", "bootstrap_servers": kafka.plain, "topic_prefix": prefix, "partitions": 2}
    with served(Replica(shop, tmp_path, transport=transport)) as (running, address):
        running.wait_live()
        with open_page(address) as seen:
            expect(seen.page.locator("#line article")).to_have_count(3)
            expect(seen.page.locator("#line article").nth(1)).to_contain_text("Kafka")
            expect(seen.page.locator("#line")).to_contain_text("nothing waits", timeout=20_000)
            is_content(seen, address)
