"""What hands do on the pages: Enter and Escape in a question, a thumb on the order ticket, typing into the search of the log."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from tests.pages.test_browser import desk
from tests.support.browser import Browser, resize
from tests.support.hands import becomes, click, one, press, until, write

__all__ = ["desk"]

# What was asked of the API; each answer waits until `window.answer` is called.
ASKED = """
  window.asked = [];
  const real = window.fetch;
  window.fetch = (address, wish = {}) => wish.method && wish.method !== 'GET'
    ? new Promise((over) => { window.asked.push([address, JSON.parse(wish.body)]); window.answer = (status) => over(new Response('{}', {status})); })
    : real(address, wish);
"""


def test_enter_says_yes_where_a_password_is_asked(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/settings/security")
    chrome.execute_script(ASKED)
    click(chrome, "button[data-password]")
    one(chrome, "#ask-password").send_keys("a long password", Keys.ENTER)
    until(chrome, "window.asked.length === 1")
    assert chrome.execute_script("return window.asked[0][1].password") == "a long password"
    chrome.execute_script("window.answer(403)")
    until(chrome, "document.querySelector('[data-ask-error]').textContent !== ''")
    until(chrome, "document.querySelector('#ask').open && !document.querySelector('[data-ask-yes]').disabled")  # it can be tried again
    one(chrome, "#ask-password").send_keys(Keys.ENTER)
    until(chrome, "window.asked.length === 2")


def test_escape_the_cross_and_cancel_leave_a_question_and_nothing_is_done(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/settings/security")
    chrome.execute_script(ASKED)
    for leave in ("Escape", "#ask .x", "#ask [data-ask-no]"):
        click(chrome, "button[data-password]")
        one(chrome, "#ask-password").send_keys("a long password")
        if leave == "Escape":
            press(chrome, Keys.ESCAPE)
        else:
            click(chrome, leave)
        until(chrome, "!document.querySelector('#ask').open")
    assert chrome.execute_script("return window.asked") == []


def test_a_question_is_not_left_while_its_answer_is_on_the_way(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/settings/security")
    chrome.execute_script(ASKED)
    click(chrome, "button[data-password]")
    one(chrome, "#ask-password").send_keys("a long password", Keys.ENTER)
    until(chrome, "window.asked.length === 1")
    until(chrome, "document.querySelector('#ask [data-ask-no]').disabled")
    press(chrome, Keys.ENTER)
    press(chrome, Keys.ESCAPE)
    assert chrome.execute_script("return [document.querySelector('#ask').open, window.asked.length]") == [True, 1]
    chrome.execute_script("window.answer(200)")
    until(chrome, "!document.querySelector('#ask').open")
    click(chrome, "button[data-password]")
    one(chrome, "#ask [data-ask-no]:enabled")


def test_enter_stops_in_the_dialog_of_the_emergency_stop(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/strategies/S1")
    chrome.execute_script(ASKED)
    click(chrome, "[data-open=estop]")
    one(chrome, "#estop [name=reason]").send_keys("fire", Keys.ENTER)
    until(chrome, "window.asked.length === 1")
    assert chrome.execute_script("return window.asked[0]") == [
        "/api/system/emergency-stop",
        {"scope": "system", "reason": "fire", "flatten": True},
    ]


SEND = "document.querySelector('[data-ticket-send]').getBoundingClientRect()"


def test_on_a_phone_the_ticket_is_sent_from_above_the_tab_bar(chrome: Browser, preview: str) -> None:
    resize(chrome, 390, 844, phone=True)
    chrome.get(f"{preview}/order?symbol=NSE:INFY")
    click(chrome, "[data-ticket-all]")
    until(chrome, "document.querySelector('[data-preview=A1] [data-preview-quantity]').textContent === '150'")
    bar = "document.querySelector('.tabbar').getBoundingClientRect().top"
    for place in (0, 99_999):  # wherever the page is scrolled to
        chrome.execute_script("document.querySelector('main').scrollTop = arguments[0]", place)
        until(chrome, f"{SEND}.bottom <= {bar} && {SEND}.top > 0")
        on_top = "document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2).closest('[data-ticket-send]')"
        until(chrome, f"((box) => Boolean({on_top}))({SEND})")
    last = "document.querySelector('[data-preview-sum]').getBoundingClientRect().bottom"
    until(chrome, f"{last} <= document.querySelector('.dialog-foot').getBoundingClientRect().top")  # the last row is in sight
    until(chrome, "document.querySelector('[data-ticket-all]').getBoundingClientRect().height >= 32")


def test_the_search_of_the_log_filters_as_one_types(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/settings/log?object_kind=account")
    chrome.execute_script("window.before = document.getElementById('log-rows')")
    find = one(chrome, "#log-find")
    find.send_keys("nam")
    find.send_keys("e")
    until(chrome, "document.getElementById('log-rows') !== window.before && location.search.includes('q=name')")
    until(chrome, "['q=name', 'object_kind=account'].every((each) => document.getElementById('log-csv').href.includes(each))")
    becomes(chrome, "return [document.activeElement.id, document.activeElement.value]", ["log-find", "name"])
    one(chrome, "#log-clear a")


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)], ids=["desk", "phone"])
def test_nothing_moves_under_the_hand_when_the_connection_goes(chrome: Browser, preview: str, size: tuple[int, int]) -> None:
    resize(chrome, *size, phone=size[0] < 500)
    chrome.get(f"{preview}/positions")
    places = """
      const line = document.getElementById('offline');
      const places = (off) => { line.hidden = !off; return [...document.querySelectorAll('main :is(a, button)')].map((each) => each.getBoundingClientRect().top); };
      return [places(true), places(false)];
    """
    off, on = chrome.execute_script(places)
    assert off == on != []
    shown = "const line = document.getElementById('offline'); line.hidden = false; return [line.getBoundingClientRect(), innerWidth]"
    box, width = chrome.execute_script(shown)
    assert 0 <= box["left"] < box["right"] <= width, "the whole line is in sight"


TYPED = """
  const box = document.querySelector('main [type=search]');
  return [box.value, [...document.querySelectorAll('#t-positions tbody tr')].filter((row) => !row.hidden && !row.textContent.includes('INFY')).length];
"""


@pytest.mark.parametrize("way", ["by itself", "by itself while nobody types", "by a filter"])
def test_what_was_typed_to_find_rows_stays_when_the_list_comes_afresh(chrome: Browser, preview: str, way: str) -> None:
    chrome.get(f"{preview}/positions")
    write(chrome, "main [type=search]", "infy")
    becomes(chrome, TYPED, ["infy", 0])
    chrome.execute_script("window.fresh = 0; document.body.addEventListener('htmx:afterSettle', () => { window.fresh += 1; })")
    if way == "by a filter":
        click(chrome, "main [name=flat]")
    else:
        blur = "document.activeElement.blur();" if "nobody" in way else ""
        chrome.execute_script(f"{blur} document.body.dispatchEvent(new CustomEvent('tandem:order'))")
    until(chrome, "window.fresh > 0")
    becomes(chrome, TYPED, ["infy", 0])


def test_what_was_typed_stays_when_its_part_of_the_page_comes_afresh_by_itself(chrome: Browser, preview: str) -> None:
    chrome.get(f"{preview}/accounts/A3")
    click(chrome, "details:has(#f-token) > summary")
    write(chrome, "#f-token", "half a tok")
    fresh = (
        "window.fresh = 0; document.body.addEventListener('htmx:afterSettle', ({ target }) => { window.fresh += target.id === 'account'; })"
    )
    chrome.execute_script(f"{fresh}; document.body.dispatchEvent(new CustomEvent('tandem:order'))")
    until(chrome, "window.fresh > 0")
    assert chrome.execute_script("return [document.activeElement.id, document.activeElement.value]") == ["f-token", "half a tok"]
    one(chrome, "#f-token")
    chrome.execute_script("window.fresh = 0; document.body.dispatchEvent(new CustomEvent('tandem:wrote'))")
    until(chrome, "window.fresh > 0")
    becomes(chrome, "return document.querySelector('#f-token').value", "")
