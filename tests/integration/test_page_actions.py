"""What the page can be told to do, and by whom: clicked in a real browser, over a daemon that replicates."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Dialog, expect

from cdc.copy_request import CopyRequest
from tests.fixtures.browser import Open
from tests.fixtures.line import Replica, eventually
from tests.fixtures.page import served, signed_in
from tests.fixtures.postgres import Database


def test_whoever_has_the_token_sees_the_line_and_may_pause_it(
    shop: Database, tmp_path: Path, open_page: Open
) -> None:
    replica = Replica(shop, tmp_path)
    with replica.running() as running:
        with signed_in(running.daemon, open_page) as page:
            page.click("#actions button:text('Pause')")
            expect(page.locator("#state")).to_have_text("paused", timeout=20_000)
            eventually(lambda: is_held(shop) is False, "the slot is let go of")
            expect(page.get_by_role("button", name="Resync public.person")).to_be_disabled()
            shop.execute("insert into person values (1000, 'while it was paused')")
            page.click("#actions button:text('Resume')")
            expect(page.locator("#state")).to_have_text("streaming", timeout=20_000)
        eventually(lambda: is_held(shop))
        assert running.daemon.status().state == "streaming"
    replica.assert_equal("public.person")


def is_held(shop: Database) -> bool:
    """Does somebody stream from the slot?"""
    query = "select active from pg_replication_slots where slot_name = %s"
    return bool(shop.query(query, shop.name)[0][0])


def test_whoever_has_the_token_copies_a_parked_table_anew_by_a_click(
    shop: Database, tmp_path: Path, open_page: Open
) -> None:
    shop.execute("create table price (id int primary key, v numeric(5,2)); insert into price values (1, 1)")
    replica = Replica(shop, tmp_path)
    with replica.running() as running:
        running.wait_live()
        shop.execute("insert into price values (2, 'NaN')")  # which a DECIMAL of DuckDB cannot be
        eventually(lambda: (table := running.table("public.price")) and table.state == "parked")
        shop.execute("update price set v = 2 where id = 2; insert into price values (3, 3)")
        with signed_in(running.daemon, open_page) as page:
            asked: list[str] = []
            answers = ["dismiss", "accept", "accept"]

            def answer(dialog: Dialog) -> None:
                asked.append(dialog.message)
                getattr(dialog, answers[len(asked) - 1])()

            page.on("dialog", answer)
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


def test_a_table_that_has_no_copy_gets_one_by_a_click(
    shop: Database, tmp_path: Path, open_page: Open
) -> None:
    replica = Replica(shop, tmp_path)
    request = CopyRequest(tables=["public.orders"])  # the others can wait
    with replica.running(request) as running:
        eventually(lambda: (table := running.table("public.orders")) and table.state == "live")
        with signed_in(running.daemon, open_page) as page:
            row = page.locator("#tables tbody tr", has_text="public.person")
            expect(row.locator(".pill")).to_have_text("new")
            assert page.get_by_role("button", name="Snapshot public.orders").count() == 0, "it has one"
            row.get_by_role("button", name="Snapshot public.person").click()
            expect(page.locator("#said")).to_have_text("snapshot of public.person: asked for")
            expect(row.locator(".pill")).to_have_text("live", timeout=20_000)
        running.daemon.line().copy(CopyRequest())
    assert replica.target_rows("public.person").total() == 500
    replica.assert_equal()


def test_without_a_token_nothing_can_be_pressed_and_nothing_that_the_page_sends_is_done(
    shop: Database, tmp_path: Path, open_page: Open
) -> None:
    with served(Replica(shop, tmp_path)) as (running, address), open_page(address) as seen:
        running.wait_live()
        expect(seen.page.locator("#tables .pill.good")).to_have_count(3)
        expect(seen.page.locator("main button, #actions button")).to_have_count(0)
        send = """async path => {
            const body = JSON.stringify({}), headers = {"Content-Type": "application/json"};
            const answer = await fetch(path, {method: "POST", headers, body});
            return [answer.status, await answer.text()];
        }"""
        for path in ("pause", "resume", "snapshot"):
            status, said = seen.page.evaluate(send, path)
            assert status == 403
            assert "without one nothing can be changed over HTTP" in said
        assert running.daemon.status().state == "streaming"
