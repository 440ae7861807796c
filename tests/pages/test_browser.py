"""The pages in a real browser, from the sample book: nothing complains, nothing overflows, and what scripts promise happens."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from app.pages import STATIC
from app.pages.assets import Assets
from tests.pages.addresses import ROOMS, THINGS
from tests.pages.test_format import NUMBERS, SHAPES, SUMS
from tests.support.browser import Browser, resize
from tests.support.hands import becomes, click, one, press, says, until, waiting


@pytest.fixture(autouse=True)
def desk(chrome: Browser) -> Iterator[None]:
    resize(chrome, 1366, 768)
    chrome.get_log("browser")
    yield
    chrome.delete_all_cookies()


def complaints(chrome: Browser) -> list[str]:
    """What the console holds against the page; a refused form is an answer, not a fault."""
    return [line["message"] for line in chrome.get_log("browser") if line["level"] == "SEVERE" and "422" not in line["message"]]


SIZES = ((1366, 768), (390, 844))
FITS = """
  const main = document.querySelector('main');
  return document.documentElement.scrollWidth <= arguments[0] && main.scrollWidth <= main.clientWidth;
"""


PARTS = 6  # an even number; so that the processes of the suite share the work


def fits(chrome: Browser, width: int, height: int, address: str) -> None:
    """What a script has drawn may need a moment when a page is turned."""
    resize(chrome, width, height, phone=width < 500)
    waiting(chrome).until(lambda _: chrome.execute_script(FITS, width), f"{address} is too wide for {width}")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"{'phone' if part % 2 else 'desk'} {part // 2 + 1}")
def test_no_page_complains_or_overflows(chrome: Browser, preview: str, part: int) -> None:
    """Every page at both sizes. Half of them come up on the desk and are then made a phone's, the other half the other way round."""
    first = part % 2
    for address in (*ROOMS, *THINGS, "/people")[part::PARTS]:
        resize(chrome, *SIZES[first], phone=SIZES[first][0] < 500)
        chrome.get(preview + address)
        fits(chrome, *SIZES[first], address)
        fits(chrome, *SIZES[1 - first], address)
        assert complaints(chrome) == [], address


def test_the_browser_writes_numbers_as_the_server_does(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/help")
    script = """
      const [address, rows, done] = arguments;
      import(address).then(({shaped}) => done(rows.map(([shape, value]) => shaped(value, shape))), (error) => done(String(error)));
    """
    module = Assets(STATIC).url("js/format.js")
    written = chrome.execute_async_script(script, module, [[shape, value] for shape, value, _ in NUMBERS])
    assert written == [text for _, _, text in NUMBERS]


def test_sums_of_coins_and_the_places_of_prices_are_the_same_in_the_browser(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/help")
    script = """
      const [address, sums, shapes, done] = arguments;
      const both = ({ money, priceShape }) => [sums.map(([value, currency]) => money(value, currency, true)), shapes.map(([symbol, tick]) => priceShape(symbol, tick))];
      import(address).then((written) => done(both(written)), (error) => done(String(error)));
    """
    written = chrome.execute_async_script(script, Assets(STATIC).url("js/format.js"), SUMS, SHAPES)
    assert written == [[text for _, _, text in SUMS], [shape for _, _, shape in SHAPES]]


def test_an_account_s_orders_are_changed_and_cancelled_without_a_push_of_the_table(chrome: Browser, preview: str) -> None:
    """Times with their day, reasons and two acts in a row: all of it in the panel beside the switches."""
    resize(chrome, 1366, 768)
    chrome.get(f"{preview}/accounts/A2")
    becomes(
        chrome,
        "const wrap = document.querySelector('#t-orders').closest('.table-wrap');"
        "const edge = wrap.getBoundingClientRect().right;"
        "return [wrap.scrollWidth - wrap.clientWidth, [...wrap.querySelectorAll('.acts .btn')].every((each) => each.getBoundingClientRect().right <= edge)]",
        [0, True],
    )


def test_marks_of_signals_do_not_print_over_each_other(chrome: Browser, preview: str) -> None:
    """One for each candle and side; words only where nothing stands beside it."""
    chrome.get(f"{preview}/help")
    script = """
      const [address, signals, done] = arguments;
      import(address).then(({thinned}) => done(thinned(signals, 60)), (error) => done(String(error)));
    """
    given = [
        (0, "BUY", "manual"),
        (6000, "SELL", "manual"),
        (6000, "SELL", "system"),
        (6000, "BUY", "strategy"),
        (6060, "SELL", "system"),
        (None, "BUY", "x"),
    ]
    given += [(12000, "SELL", "system"), (12000, "SELL", "system")]
    signals = [{"time": time, "side": side, "source": source} for time, side, source in given]
    marks = chrome.execute_async_script(script, Assets(STATIC).url("js/marks.js"), signals)
    assert [(mark["time"], mark["side"], mark["count"], mark["text"], mark["hint"]) for mark in marks] == [
        (0, "BUY", 1, "manual", "signal to buy: manual"),
        (6000, "SELL", 2, "", "2 signals to sell: manual, system"),
        (6000, "BUY", 1, "", "signal to buy"),
        (6060, "SELL", 1, "", "signal to sell: system"),
        (12000, "SELL", 2, "2× system", "2 signals to sell: system"),
    ]


STALE = {
    "/accounts/A1/edit": ("#f-name", "name"),
    "/strategies/S5/edit": ("#f-name", "name"),
    "/strategies/S2/edit": ("#f-name", "name"),
    "/mappings/M1/edit": ("#f-multiplier", "multiplier"),
    "/groups/G1/edit": ("#f-name", "name"),
    "/limits/R1/edit": ("#f-target", "target"),
}
SENT = "window.sent = null; window.fetch = (_, {body}) => { window.sent = JSON.parse(body); return new Promise(() => {}); }"


def test_a_form_sends_only_what_was_changed_in_it(chrome: Browser, preview: str) -> None:
    """What another tab has saved since the form was shown is not taken back."""
    for address, (field, name) in STALE.items():
        chrome.get(preview + address)
        chrome.execute_script(SENT)
        box = one(chrome, field)
        box.clear()
        box.send_keys("7")
        click(chrome, "main form[data-api] [type=submit]")
        until(chrome, "window.sent")
        assert chrome.execute_script("return window.sent") == {name: "7"}, address
    chrome.get(f"{preview}/limits")
    click(chrome, "[data-dialog='/limits/R1/edit']")  # shown in a dialog
    one(chrome, "#sheet #f-target").send_keys("9")
    chrome.execute_script(SENT)
    click(chrome, "#sheet [type=submit]")
    until(chrome, "window.sent")
    assert chrome.execute_script("return Object.keys(window.sent)") == ["target"]
    chrome.get(f"{preview}/mappings/M1/edit")
    click(chrome, "main form[data-api] [type=submit]")  # nothing was changed: nothing is sent
    until(chrome, "location.pathname === '/mappings'")


@pytest.mark.parametrize("study", ["B2", "B7"], ids=["back-test", "sweep"])
def test_a_study_that_was_ended_no_longer_says_running(chrome: Browser, preview: str, study: str) -> None:
    chrome.get(f"{preview}/backtests/{study}")
    chrome.execute_script("window.before = true")
    told = f"{{detail: {{id: '{study}', state: 'cancelled', progress: 0.5}}}}"
    chrome.execute_script(f"document.dispatchEvent(new CustomEvent('tandem-study', {told}))")
    until(chrome, "!window.before")  # the page is fetched anew


def test_what_was_ticked_to_be_compared_stays_ticked_when_a_study_ends(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/backtests")
    ticked = "[...document.querySelectorAll('#studies [name=ids]:checked')].map((box) => box.value)"
    chosen = chrome.execute_script(
        f"[...document.querySelectorAll('#studies [name=ids]:enabled')].slice(0, 2).forEach((box) => box.click()); return {ticked}"
    )
    assert len(chosen) == 2
    fresh = "document.body.addEventListener('htmx:afterSettle', () => { window.fresh = true; }, { once: true });"
    chrome.execute_script(fresh + "document.body.dispatchEvent(new CustomEvent('tandem:study'))")
    until(chrome, "window.fresh")
    becomes(chrome, f"return {ticked}", chosen)
    one(chrome, "[data-compare]:enabled", "2")


def test_errors_appear_beside_their_fields_and_what_was_typed_stays(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/accounts/new")
    one(chrome, "#f-max_daily_loss").send_keys("2500")
    click(chrome, "form[data-api] [type=submit]")
    one(chrome, "#e-capital:not(:empty)")
    says(chrome, "#e-name", "Is required")
    says(chrome, "#e-capital", "Must be above 0")
    assert one(chrome, "#f-max_daily_loss").get_attribute("value") == "2500"
    until(chrome, "document.activeElement.id === 'f-name'")
    assert one(chrome, "#f-name").get_attribute("aria-invalid") == "true"
    press(chrome, "x")
    says(chrome, "#e-name", "")


def test_errors_of_a_made_up_account_stand_at_its_fields(chrome: Browser, preview: str) -> None:
    """The form has other names for a part of what it asks."""
    chrome.get(f"{preview}/backtests/new?mode=walk")
    wrong = {"accounts.0.capital": "made.capital", "accounts.0.sizing.value": "made.sizing.value", "walk_forward.train_days": "train_days"}
    answer = json.dumps({"errors": {name: ["no"] for name in wrong}})
    chrome.execute_script("const text = arguments[0]; window.fetch = async () => new Response(text, {status: 422})", answer)
    click(chrome, ".study-form [type=submit]")
    for field in wrong.values():
        says(chrome, f"[data-field='{field}'] .error:not(:empty)", "No")
        assert one(chrome, f"[data-field='{field}'] input").get_attribute("aria-invalid") == "true"


def test_an_order_by_keyboard_alone(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/help")
    press(chrome, "n")
    one(chrome, "#sheet[open] [data-ticket]")
    watch = "const b = document.querySelector('[data-ticket-send]');"
    watch += "new MutationObserver(() => { window.undefinedSaid ||= b.textContent.includes('undefined'); }).observe(b, {childList: true});"
    chrome.execute_script(watch)
    press(chrome, "inf")
    until(chrome, "document.querySelector('#sheet [name=symbol]').value === 'inf'")
    one(chrome, "#sheet .picker li[aria-selected]", "NSE:INFY")
    until(chrome, "document.querySelector('[data-ticket-send]').textContent === 'Buy'")  # as long as no instrument is chosen
    assert not chrome.execute_script("return window.undefinedSaid")
    places = "return [...document.querySelectorAll('#sheet [data-preview] label, #sheet [name=side] + span')].map((e) => e.getBoundingClientRect().top)"
    before = chrome.execute_script(places)
    press(chrome, Keys.ENTER)
    until(chrome, "document.querySelector('#sheet [name=symbol]').value === 'NSE:INFY'")
    until(chrome, "!document.querySelector('#sheet [data-ticket-quote]').hidden")
    becomes(chrome, places, before)  # whoever is about to touch an account or a side touches that one
    click(chrome, "#sheet [data-preview=A1] label")
    click(chrome, "#sheet [data-preview=A5] label")
    until(chrome, "document.querySelector('#sheet [data-preview=A1] [data-preview-quantity]').textContent === '150'")
    says(chrome, "#sheet [data-preview=A5] [data-preview-note]", "The kill switch of this account is on.")
    says(chrome, "#sheet [data-preview=A1] [data-preview-note]", "")
    says(chrome, "#sheet [data-part=ask]", "1,520.10")
    click(chrome, "#sheet [value=SELL] + span")
    until(chrome, "document.querySelector('[data-ticket-send]').textContent === 'Sell INFY'")
    click(chrome, "#sheet [data-preview=A3] label")
    until(chrome, "document.querySelector('[data-ticket-send]').textContent === 'Sell INFY with real money'")
    until(
        chrome,
        "document.querySelector('#sheet [data-preview=A3] .warn[data-preview-note]')?.textContent.startsWith('the position is guarded already')",
    )
    press(chrome, Keys.ESCAPE)
    until(chrome, "!document.querySelector('#sheet[open]')")


def test_parts_of_a_form_that_do_not_apply_are_neither_shown_nor_sent(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/order?symbol=NSE:INFY")
    assert not chrome.find_element(By.ID, "f-price").is_displayed()
    click(chrome, "[name=order_type][value=LIMIT] + span")
    one(chrome, "#f-price").send_keys("1,500.50")
    click(chrome, "[name=order_type][value='SL-M'] + span")
    until(chrome, "document.getElementById('f-price').disabled")
    one(chrome, "#f-trigger_price")


def test_the_exit_plan_editor_makes_rows_and_counts_shares(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/positions/P4/plan")
    assert len(chrome.find_elements(By.CSS_SELECTOR, "[data-target-rows] [data-target]")) == 1
    click(chrome, "[data-target-add]")
    until(chrome, "document.activeElement.name === 'targets[1].value'")
    press(chrome, "2950", Keys.TAB, "70")
    says(chrome, "[data-target-left]", "20 % too much")
    names = "return [...document.querySelectorAll('[data-target-rows] [name$=value]')].map((field) => field.name)"
    becomes(chrome, names, ["targets[0].value", "targets[1].value"])
    click(chrome, "[data-target-rows] [data-target]:first-child [data-target-remove]")
    says(chrome, "[data-target-left]", "30 % stays with the stop")


def test_a_ladder_of_ten_targets_is_two_clicks(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/strategies/S2/edit")
    click(chrome, "[data-ladder-open]")
    one(chrome, "[data-ladder-count]").send_keys("0")
    click(chrome, "[data-ladder-fill]")
    says(chrome, "[data-targets] > .error", "A ladder has 1 to 20 targets")  # 100 are not cut to 20
    assert chrome.find_elements(By.CSS_SELECTOR, "[data-target-rows] [data-target]") == []
    until(chrome, "document.activeElement.matches('[data-ladder-count]')")
    press(chrome, "10")  # what is wrong is selected
    click(chrome, "[data-ladder-fill]")
    until(chrome, "document.querySelectorAll('[data-ladder-view] g').length === 10")
    says(chrome, "[data-targets] > .error", "")
    says(chrome, "[data-target-left]", "")
    one(chrome, "[name='exits.exit_at']").send_keys("15:10")
    chrome.execute_script(SENT)
    click(chrome, "form[data-api] [type=submit]")
    until(chrome, "window.sent")
    plan = chrome.execute_script("return window.sent.exit_plan")
    assert plan["stop_loss"] == {"pct": "5"}
    assert [target["pct"] for target in plan["targets"]] == ["0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5"]
    assert [target.get("then_stop") for target in plan["targets"]] == [*({"pct": f"{n / 2:g}"} for n in range(9)), None]
    assert {target["share_pct"] for target in plan["targets"]} == {"10"}
    assert (plan["booking"], plan["exit_at"]) == ("even", "15:10")


def test_a_files_name_keeps_its_spelling_in_what_is_wrong_with_it(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/data/import")
    told = """const [said, done] = arguments;
        const script = performance.getEntriesByType("resource").find((each) => each.name.includes("/forms."));
        import(script.name).then(({ showErrors }) => {
          showErrors(document.querySelector("form[data-upload]"), { errors: { file: [said] } });
          done(document.querySelector("#e-file").textContent);
        });"""
    for said, shown in (
        ("infy.csv: it names no instrument", "infy.csv: it names no instrument"),
        ("my days.csv.gz cannot be read: no", "my days.csv.gz cannot be read: no"),
        ("is empty. Truly: yes", "Is empty. Truly: yes"),
    ):
        assert chrome.execute_async_script(told, said) == shown


def test_a_preset_fills_every_parameter_and_a_changed_field_leaves_it(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/strategies/new?kind=range_level")
    sell = one(chrome, "[name='params.k_sell']")
    chosen = "document.querySelector('[data-presets]').selectedOptions[0].text"
    until(chrome, f"{chosen}.startsWith('A: ')")
    Select(one(chrome, "[data-presets]")).select_by_value("D")
    becomes(
        chrome,
        "const f = document.querySelector('form[data-prepare=strategy]').elements; return ['k_buy', 'buy_from', 't'].map((n) => f['params.' + n].value)",
        ["8.1", "open", "0.5"],
    )
    one(chrome, "[data-preset-about]", "Rare, large moves")
    sell.clear()
    sell.send_keys("9.2")
    until(chrome, f"{chosen} === 'Own parameters'")
    sell.clear()
    sell.send_keys("9.1")
    until(chrome, f"{chosen}.startsWith('D: ')")


def test_a_dangerous_button_asks_and_can_be_left(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/positions")
    click(chrome, "button[data-api$='close-all']")
    one(chrome, "#ask")
    says(chrome, "#ask-title", "Close every open position?")
    press(chrome, Keys.ESCAPE)
    until(chrome, "!document.querySelector('#ask').open")


def test_real_money_needs_the_account_s_name(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/accounts/A3")
    click(chrome, "input[data-switch=on]")
    word = one(chrome, "#ask-type")
    assert not chrome.find_element(By.CSS_SELECTOR, "[data-ask-yes]").is_enabled()
    word.send_keys("Zerodha main")
    until(chrome, "!document.querySelector('[data-ask-yes]').disabled")
    press(chrome, Keys.ESCAPE)
    until(chrome, "!document.querySelector('input[data-switch=on]').checked")


def test_tables_sort_by_value_and_filter_as_one_types(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/accounts")
    names = "[...document.querySelectorAll('#t-accounts tbody tr')].filter((row) => row.checkVisibility()).map((row) => row.querySelector('th a').innerText)"
    click(chrome, "#t-accounts th .sort", "Day P&L")
    until(chrome, f"{names}[0] === 'Zerodha main'")
    click(chrome, "#t-accounts th .sort", "Day P&L")
    until(chrome, f"{names}[0] === 'Aggressive paper'")
    becomes(chrome, f"return {names}.at(-1)", "Zerodha HUF")  # without a value: last either way
    press(chrome, "/")
    until(chrome, "document.activeElement.matches('main [type=search]')")
    press(chrome, "careful")
    becomes(chrome, f"return {names}", ["Careful paper"])


def test_a_table_is_exported_as_it_is_shown_with_exact_values(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/positions")
    chrome.execute_script("URL.createObjectURL = (blob) => { blob.text().then((text) => (window.exported = text)); return 'blob:x'; }")
    chrome.execute_script("HTMLAnchorElement.prototype.click = function () { window.file = this.download; }")
    click(chrome, "button[data-csv=t-positions]")
    until(chrome, "window.exported")
    lines = chrome.execute_script("return window.exported").splitlines()
    assert lines[0].startswith("Instrument,Open P&L,Account") or "Open P&L" in lines[0]
    assert any("937.5" in line and "806.15" in line for line in lines)
    assert chrome.execute_script("return window.file") == "tandem-positions.csv"


WATCH_ANSWER = "const real = window.fetch; window.fetch = async (...all) => { const made = await real(...all); window.answered = made.ok; return made; }"


def test_light_and_dark_and_the_colours_of_profit_are_kept(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/help")
    for what in ("theme", "palette"):
        click(chrome, ".who summary")
        chrome.execute_script(WATCH_ANSWER)
        click(chrome, f".drop [data-{what}-toggle]")
        until(chrome, "window.answered")
        chrome.get(f"{preview}/help")
    chrome.get(f"{preview}/")
    root = chrome.find_element(By.TAG_NAME, "html")
    assert (root.get_attribute("data-bs-theme"), root.get_attribute("data-palette")) == ("light", "blue")


def test_keys_lead_to_rooms_but_not_while_typing(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/accounts")
    chrome.execute_script("const now = Date.now(); Date.now = () => now")  # the second key comes soon enough, however long a machine stands
    press(chrome, "gp")
    until(chrome, "location.pathname === '/positions'")
    one(chrome, "main [type=search]").send_keys("gh?")
    assert chrome.execute_script("return location.pathname") == "/positions"
    chrome.get(f"{preview}/")
    press(chrome, "?")
    one(chrome, "#keys[open]", "Keyboard shortcuts")


def test_the_stop_is_one_click_and_one_confirm(chrome: Browser, preview: str) -> None:
    for width, height in ((1366, 768), (390, 844)):
        resize(chrome, width, height, phone=width < 500)
        chrome.get(f"{preview}/strategies/S1")
        click(chrome, "[data-open=estop]")
        says(chrome, "#estop[open] [type=submit]", "Stop now")
        until(chrome, "document.activeElement.innerText === 'Stop now'")
    resize(chrome, 1366, 768)


def test_the_menu_of_a_phone_opens_and_closes(chrome: Browser, preview: str) -> None:
    resize(chrome, 390, 844, phone=True)
    chrome.get(f"{preview}/")
    waiting(chrome).until(lambda _: not chrome.find_element(By.ID, "rail").is_displayed())
    click(chrome, "[data-menu]")
    one(chrome, "#rail", "Mappings")
    press(chrome, Keys.ESCAPE)
    waiting(chrome).until(lambda _: not chrome.find_element(By.ID, "rail").is_displayed())


def test_a_chart_is_drawn_with_its_marks(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/strategies/S1")
    until(chrome, "document.querySelectorAll('[data-chart=candles] canvas').length > 3")
    until(chrome, "document.querySelector('.chart-note')?.hidden")
    chrome.get(f"{preview}/pnl")
    until(chrome, "document.querySelectorAll('[data-chart=equity] canvas').length > 3")
    assert complaints(chrome) == []


def test_an_event_changes_only_the_number_it_is_about(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/positions")
    one(chrome, "main [type=search]").send_keys("sbin")
    event = {"id": "P1", "last_price": "815.00", "unrealised": "-1327.5", "quantity": "150"}
    cell = "document.querySelector('#p-P1 [data-key$=unrealised]')"
    happens(chrome, "position", event, f"{cell}.textContent === '−₹1,327.50' && {cell}.classList.contains('down')")
    assert chrome.switch_to.active_element.get_attribute("value") == "sbin"
    one(chrome, "#p-P1")


def happens(chrome: Browser, kind: str, payload: dict[str, str], then: str) -> None:
    """`then` holds as soon as this was told: a moment later the list is fetched afresh, in which the sample book knows nothing of it. No hand lies on
    the page, for which a row would stay."""
    chrome.execute_script(
        "window.addEventListener('pointermove', (event) => event.stopImmediatePropagation(), true);"
        "document.documentElement.dispatchEvent(new PointerEvent('pointerleave'));"
        f"window.held = false; document.addEventListener('tandem-{kind}', () => {{ window.held = {then}; }}, {{ once: true }});"
        f"new BroadcastChannel('tandem-U1').postMessage({json.dumps({'kind': kind, 'payload': payload})})"
    )
    until(chrome, "window.held")


def test_what_is_flat_leaves_the_open_positions_at_once(chrome: Browser, preview: str) -> None:
    left = {"id": "P1", "quantity": "0", "unrealised": "0"}
    for address, row in (("/", "pos-P1"), ("/positions", "p-P1")):
        chrome.get(preview + address)
        one(chrome, f"#{row}")
        happens(chrome, "position", left, f"!document.getElementById('{row}')")
    chrome.get(f"{preview}/positions?flat=true")
    happens(chrome, "position", left, "document.querySelector('#p-P1 [data-key$=quantity]').dataset.value === '0'")


def test_the_count_of_a_signal_follows_its_rows(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/signals/sbin-20261120-1115")
    before = one(chrome, "[data-tally]").text
    row = chrome.find_element(By.CSS_SELECTOR, "#t-outcome .badge:not([data-value=filled])").get_attribute("data-key")
    assert row
    filled = {"order_id": row.split(":")[1].split(".")[0], "state": "filled"}
    count, rest = before.split(" ", 1)
    happens(chrome, "order", filled, f"document.querySelector('[data-tally]').textContent === '{int(count) + 1} {rest}'")


def test_lists_are_not_read_again_for_every_mark_of_a_position(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/help")
    script = "window.heard = 0; document.body.addEventListener('tandem:position', () => (window.heard += 1)); window.told = 0;"
    chrome.execute_script(script + "document.addEventListener('tandem-position', () => (window.told += 1))")
    for last in ("815", "816", "817"):
        event = {"kind": "position", "payload": {"id": "P1", "quantity": "150", "last_price": last, "exit_plan": None}}
        chrome.execute_script(f"new BroadcastChannel('tandem-U1').postMessage({json.dumps(event)})")
    until(chrome, "window.told === 3 && window.heard === 1")


def test_the_list_of_instruments_opens_only_when_one_types(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/order")
    field = one(chrome, "#f-symbol")
    until(chrome, "document.activeElement.id === 'f-symbol'")
    assert field.get_attribute("aria-expanded") == "false"
    assert not chrome.find_element(By.ID, "list-symbol").is_displayed()
    press(chrome, "inf")
    one(chrome, ".picker li[aria-selected]")
    press(chrome, Keys.BACKSPACE * 3)
    until(chrome, "document.querySelector('#list-symbol').hidden")
    press(chrome, Keys.ARROW_DOWN)
    one(chrome, ".picker li[aria-selected]")


# Each question waits until `window.answer` is called; what was typed is there at once.
ANSWERED = """
  const real = window.fetch;
  window.answer = null;
  window.fetch = (...all) => new Promise((over) => { window.answer = () => { window.answer = null; return real(...all).then(over); }; });
  window.typed = (text) => {
    document.activeElement.value = text;
    document.activeElement.dispatchEvent(new Event('input', { bubbles: true }));
  };
"""


@pytest.mark.parametrize("key", [Keys.ENTER, Keys.ESCAPE], ids=["chosen", "left"])
def test_a_list_of_instruments_that_was_closed_is_not_opened_again_by_a_late_answer(chrome: Browser, preview: str, key: str) -> None:
    chrome.get(f"{preview}/order")
    until(chrome, "document.activeElement.id === 'f-symbol'")
    chrome.execute_script(ANSWERED + "window.typed('inf')")
    until(chrome, "Boolean(window.answer)")
    chrome.execute_script("window.answer()")
    one(chrome, ".picker li[aria-selected]", "NSE:INFY")
    chrome.execute_script("window.typed('infy')")
    until(chrome, "Boolean(window.answer)")
    chrome.execute_script("window.late = window.answer")
    press(chrome, key)
    until(chrome, "document.querySelector('#list-symbol').hidden")
    shown = "new MutationObserver(() => { window.shown = true; }).observe(document.querySelector('#list-symbol'), {attributes: true, childList: true});"
    chrome.execute_async_script(f"{shown} window.late().then(() => setTimeout(arguments[0]))")
    assert not chrome.execute_script("return window.shown")


def test_nothing_of_the_ticket_is_cut(chrome: Browser, preview: str) -> None:
    for width, height in ((1366, 768), (390, 844)):
        resize(chrome, width, height, phone=width < 500)
        chrome.get(f"{preview}/order?symbol=NSE:INFY")
        click(chrome, "details.more summary")
        add = one(chrome, "[data-target-add]")
        chrome.execute_script("arguments[0].scrollIntoView({block: 'center'})", add)  # clear of the bar that sends
        click(chrome, "[data-target-add]")
        one(chrome, "[data-target]")
        one(chrome, "[data-ticket-quote]", "1,520.10")
        prices = "[...document.querySelectorAll('[data-ticket-quote] b')]"
        until(chrome, f"{prices}.every((b) => b.getBoundingClientRect().right <= b.closest('.stack').getBoundingClientRect().right)")
        cut = """
          const pen = document.createElement('canvas').getContext('2d');
          return [...document.querySelectorAll('[data-ticket] input[placeholder]')].filter((field) => field.offsetParent).filter((field) => {
            const style = getComputedStyle(field);
            pen.font = style.font;
            return pen.measureText(field.placeholder).width > field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) + 1;
          }).map((field) => field.placeholder);
        """
        becomes(chrome, cut, [])
    resize(chrome, 1366, 768)


PUSH = "((box) => box.scrollWidth <= box.clientWidth)(document.getElementById('{}').parentElement)"


def test_on_a_phone_positions_are_acted_on_and_reasons_read_without_pushing_sideways(chrome: Browser, preview: str) -> None:
    resize(chrome, 390, 844, phone=True)
    chrome.get(f"{preview}/positions")
    one(chrome, "#t-positions tbody tr")
    row = "document.querySelector('#t-positions tbody tr')"
    until(chrome, f"{row}.getBoundingClientRect().top < 320")
    for word in ("Plan", "Close"):
        button = f"[...{row}.querySelectorAll('.acts a')].filter((a) => a.innerText === '{word}')"
        becomes(chrome, f"return {button}.map((a) => a.getBoundingClientRect().right <= 390)", [True])
    for address, table in (("/positions", "t-positions"), ("/orders", "t-orders")):
        chrome.get(preview + address)
        one(chrome, f"#{table} tbody tr")
        until(chrome, PUSH.format(table))
    shown = "[...document.querySelectorAll('#t-orders .reason')].every((r) => r.scrollWidth <= r.clientWidth && r.getBoundingClientRect().right <= 390)"
    until(chrome, shown)
    one(chrome, "#t-orders .reason", "RMS: margin exceeds by 12,400")


def test_one_stream_for_all_tabs(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/")
    first = chrome.current_window_handle
    chrome.switch_to.new_window("tab")
    try:
        chrome.get(f"{preview}/orders")
        held = "navigator.locks.query().then((q) => arguments[0]([q.held.length, q.pending.length]))"
        until(chrome, "document.readyState === 'complete'")
        waiting(chrome).until(lambda _: chrome.execute_async_script(held) == [1, 1])
    finally:
        chrome.close()
        chrome.switch_to.window(first)


@pytest.mark.parametrize(("address", "table"), [("/", "t-accounts"), ("/health", "t-lanes"), ("/health", "t-engines")])
def test_no_column_is_cut_on_a_laptop(chrome: Browser, preview: str, address: str, table: str) -> None:
    resize(chrome, 1366, 768)
    chrome.get(preview + address)
    until(chrome, PUSH.format(table))


def test_a_phone_shows_the_quantity_and_every_filter_of_positions(chrome: Browser, preview: str) -> None:
    resize(chrome, 390, 844, phone=True)
    chrome.get(f"{preview}/accounts/A1")
    one(chrome, "#t-positions tbody tr#p-P1", "+150")
    chrome.get(f"{preview}/positions")
    one(chrome, ".filter-form label.check")
    until(chrome, "document.querySelector('.filter-form label.check').getBoundingClientRect().right <= 378")
    resize(chrome, 1366, 768)
