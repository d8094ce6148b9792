"""The page at /, as a person sees it: in a real browser, over a daemon that replicates."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, expect

from cdc.config import HttpSettings
from cdc.serve import HttpServer
from tests.fixtures.browser import Open, Watched
from tests.fixtures.line import Replica, Running, eventually
from tests.fixtures.postgres import Database

PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "device_scale_factor": 2}
DESK = {"viewport": {"width": 1200, "height": 900}}
HOSTILE = "<img src=x onerror=alert(1)>"


@contextmanager
def served(replica: Replica) -> Iterator[tuple[Running, str]]:
    with replica.running() as running, HttpServer(HttpSettings(listen="127.0.0.1:0"), running.daemon) as http:
        yield running, f"http://{http.address}/"


@contextmanager
def changing(database: Database) -> Iterator[None]:
    """A busy source."""
    over = threading.Event()

    def change() -> None:
        with database.connect() as connection:
            while not over.wait(random.random() / 5):
                connection.execute(
                    "insert into orders select from generate_series(1, %s)", [random.randint(1, 300)]
                )
                connection.execute(
                    "update person set name = name || '.' where id %% 10 = %s", [random.randint(0, 9)]
                )

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def source(database: Database) -> Database:
    database.execute("create table orders (id int primary key generated always as identity)")
    database.execute("create table person (id int primary key, name text)")
    database.execute(f'create table "{HOSTILE}" (id int primary key)')
    database.execute("insert into person select n, 'name ' || n from generate_series(1, 500) n")
    return database


def is_content(seen: Watched, address: str) -> None:
    """It complained of nothing, and asked nobody but the daemon."""
    assert seen.complaints == []
    assert {url for url in seen.asked if not url.startswith((address, "data:"))} == set()


def keep_picture(seen: Watched, name: str) -> None:
    """For the documentation: CDC_SCREENSHOTS=docs/images make test PYTEST_ARGS=tests/integration/test_page.py."""
    if folder := os.environ.get("CDC_SCREENSHOTS"):
        time.sleep(40)  # so that the plots have something to show
        seen.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.parametrize(("name", "settings"), [("page", DESK), ("phone", PHONE)], ids=["desk", "phone"])
def test_the_page_shows_the_line_in_motion(
    source: Database, tmp_path: Path, open_page: Open, name: str, settings: dict[str, object]
) -> None:
    with (
        served(Replica(source, tmp_path)) as (running, address),
        changing(source),
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
        keep_picture(seen, name)
        is_content(seen, address)


def test_a_table_that_was_set_aside_says_why_and_what_mends_it(
    source: Database, tmp_path: Path, open_page: Open
) -> None:
    with served(Replica(source, tmp_path)) as (running, address), open_page(address) as seen:
        running.wait_live()
        running.daemon.book.table_refused("public.person", "it was dropped", "cdc resync public.person")
        row = seen.page.locator("#tables tbody tr").first  # what needs a person stands first
        expect(row).to_contain_text("parked")
        expect(row).to_contain_text("it was dropped")
        expect(row.locator("code")).not_to_be_empty()
        is_content(seen, address)


def test_a_daemon_that_is_gone_is_told_and_what_was_known_is_marked(
    source: Database, tmp_path: Path, open_page: Open
) -> None:
    with served(Replica(source, tmp_path)) as (_, address), open_page(address) as seen:
        expect(seen.page.locator("#state")).to_have_text("streaming")
        context = seen.page.context
        context.set_offline(True)
        expect(seen.page.locator("#banner")).to_contain_text("does not answer", timeout=20_000)
        expect(seen.page.locator("main")).to_have_class("stale")
        context.set_offline(False)
        expect(seen.page.locator("#state")).to_have_text("streaming", timeout=20_000)
        expect(seen.page.locator("#banner")).to_be_hidden()


def test_whoever_has_the_token_sees_the_line_and_may_pause_it(
    source: Database, tmp_path: Path, open_page: Open
) -> None:
    settings = HttpSettings(listen="127.0.0.1:0", token="the-token")
    with Replica(source, tmp_path).running() as running, HttpServer(settings, running.daemon) as http:
        with open_page(f"http://{http.address}/") as seen:
            page = seen.page
            expect(page.locator("#sign-in")).to_be_visible()
            expect(page.locator("main")).to_be_hidden()
            page.fill("#token", "the-token")
            page.click("#sign-in button")
            expect(page.locator("main")).to_be_visible()
            page.click("#actions button:text('Pause')")
            expect(page.locator("#state")).to_have_text("paused", timeout=20_000)
            page.click("#actions button:text('Resume')")
            expect(page.locator("#state")).to_have_text("streaming", timeout=20_000)
        assert running.daemon.status().state == "streaming"


def test_whoever_has_the_token_copies_a_parked_table_anew_by_a_click(
    source: Database, tmp_path: Path, open_page: Open
) -> None:
    settings = HttpSettings(listen="127.0.0.1:0", token="the-token")
    source.execute("create table price (id int primary key, v numeric(5,2)); insert into price values (1, 1)")
    replica = Replica(source, tmp_path)
    with replica.running() as running, HttpServer(settings, running.daemon) as http:
        running.wait_live()
        source.execute("insert into price values (2, 'NaN')")  # which a DECIMAL of DuckDB cannot be
        eventually(lambda: (table := running.table("public.price")) and table.state == "parked")
        source.execute("update price set v = 2 where id = 2; insert into price values (3, 3)")
        with open_page(f"http://{http.address}/") as seen:
            page, asked = seen.page, []
            answers = ["dismiss", "accept", "accept"]

            def answer(dialog: Dialog) -> None:
                asked.append(dialog.message)
                getattr(dialog, answers[len(asked) - 1])()

            page.on("dialog", answer)
            page.fill("#token", "the-token")
            page.click("#sign-in button")
            row = page.locator("#tables tbody tr", has_text="public.price")
            expect(row).to_contain_text("parked")
            click = row.get_by_role("button", name="Resync public.price").click
            click()  # thought better of
            expect(page.locator("#said")).to_be_hidden()
            expect(row).to_contain_text("parked")
            click()
            expect(page.locator("#said")).to_have_text("resync of public.price: asked for")
            expect(row.locator(".pill")).to_have_text("live", timeout=20_000)
            expect(row).not_to_contain_text("cannot be kept")
            assert len(asked) == 2
            assert "public.price" in asked[0]
            page.evaluate("sessionStorage.setItem('token', 'of yesterday')")
            click()
            expect(page.locator("#said")).to_contain_text("send the token of [http]")
        assert running.daemon.verify().equal
    assert replica.target_rows("public.price") == replica.source_rows("public.price")
    assert replica.target_rows("public.price").total() == 3


def test_without_a_token_nothing_can_be_pressed(source: Database, tmp_path: Path, open_page: Open) -> None:
    with served(Replica(source, tmp_path)) as (running, address), open_page(address) as seen:
        running.wait_live()
        expect(seen.page.locator("#tables .pill.good")).to_have_count(3)
        expect(seen.page.locator("main button, #actions button")).to_have_count(0)
