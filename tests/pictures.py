"""Takes the pictures of the page for the documentation: `python -m tests.pictures docs/images`.

A shop is open for two minutes; one of its tables gets a value that the warehouse cannot hold.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from cdc import config_file
from cdc.config import HttpSettings
from cdc.daemon import Daemon
from cdc.demo.workload import Workload
from cdc.embedded import EmbeddedPostgres
from cdc.serve import HttpServer
from tests.fixtures.browser import FLAGS
from tests.fixtures.line import eventually
from tests.fixtures.postgres import Database

SECONDS = 150.0
TOKEN = "a-token"
DESK = {"viewport": {"width": 1200, "height": 900}}
PICTURES: dict[str, dict[str, Any]] = {
    "page": {**DESK, "color_scheme": "light"},
    "dark": {**DESK, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "device_scale_factor": 2},
}
SETTINGS = """
[source]
dsn = "{dsn}"
[warehouses.reporting]
kind = "duckdb"
path = "shop.duckdb"
[http]
listen = ""
"""


def take(browser: Browser, address: str, folder: Path) -> None:
    for name, settings in PICTURES.items():
        context = browser.new_context(**settings)
        page = context.new_page()
        page.add_init_script(f"sessionStorage.setItem('token', '{TOKEN}')")
        page.goto(address)
        page.wait_for_selector("#tables tbody tr")
        time.sleep(3)  # two looks, between which the line moves
        page.screenshot(path=folder / f"{name}.png", full_page=True)
        context.close()


def main(folder: Path) -> None:
    with EmbeddedPostgres() as server, tempfile.TemporaryDirectory() as home, contextlib.chdir(home):
        Database(server, "postgres").execute("create database shop")
        database = Database(server, "shop")
        Path("config.toml").write_text(SETTINGS.format(dsn=database.dsn))
        daemon, stop = Daemon(config_file.load(Path("config.toml"), {})), threading.Event()
        with Workload(database.dsn, 2000.0, SECONDS) as workload:
            workload.shop.open()
            database.execute("create table rates (currency text primary key, rate numeric(8, 4))")
            database.execute("insert into rates values ('EUR', 1), ('USD', 1.0835)")
            thread = threading.Thread(target=daemon.run, args=(stop,))
            thread.start()
            eventually(lambda: daemon.status().state == "streaming")
            workload.start()
            with HttpServer(HttpSettings(listen="127.0.0.1:0", token=TOKEN), daemon) as http:
                time.sleep(SECONDS * 0.3)
                database.execute("alter table rates add column source text")
                database.execute("insert into rates values ('XXX', 'NaN', 'unknown')")
                time.sleep(SECONDS * 0.3)
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(
                        executable_path="/usr/bin/chromium", args=list(FLAGS)
                    )
                    take(browser, f"http://{http.address}/", folder)
            workload.stop()
        stop.set()
        thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
