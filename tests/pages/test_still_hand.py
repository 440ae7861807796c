"""Nothing moves under the hand: lists wait for it, and a tap on what only just moved there does nothing."""

from __future__ import annotations

import json

from selenium.webdriver.common.action_chains import ActionChains

from tests.pages.test_browser import desk
from tests.support.browser import Browser, resize
from tests.support.hands import becomes, one, until

__all__ = ["desk"]

CLOCK = """
  window.clock = performance.now();
  performance.now = () => window.clock;
  window.pointed = 0;
  window.sent = 0;
  window.swaps = [];
  document.addEventListener('pointermove', ({ clientX, clientY }) => {
    window.pointed += 1;
    window.place = { pointerType: 'mouse', clientX, clientY, bubbles: true };
  });
  document.body.addEventListener('htmx:beforeSend', () => { window.sent += 1; });
  window.addEventListener('htmx:beforeSwap', ({ detail }) => window.swaps.push(detail.shouldSwap));
  window.removed = [];
  new MutationObserver((all) => all.forEach(({ removedNodes }) => removedNodes.forEach(({ id }) => window.removed.push(id))))
    .observe(document.querySelector('main'), { childList: true, subtree: true });
  const tells = ['order', 'halt', 'wrote'].map((kind) => `tandem:${kind}`);
  tells.forEach((name) => window.addEventListener(name, (event) => window.telling || event.stopImmediatePropagation(), true));
  window.tell = (kind) => {
    const before = window.sent;
    window.telling = true;
    document.body.dispatchEvent(new CustomEvent(`tandem:${kind}`));
    window.telling = false;
    return window.sent - before;
  };
  window.point = (css) => {
    const { x, y, width, height } = document.querySelector(css).getBoundingClientRect();
    const place = { pointerType: 'mouse', clientX: x + width / 2, clientY: y + height / 2, bubbles: true };
    document.dispatchEvent(new PointerEvent('pointermove', place));
  };
"""
"""From here on time passes, and lists hear that something happened, only when the test says so."""
MINUTE = "window.clock += 60000"
TAP = """
  const tap = new PointerEvent('click', { pointerType: 'touch', bubbles: true, cancelable: true });
  document.querySelector(arguments[0]).dispatchEvent(tap);
  return !document.getElementById('toasts').textContent.includes('nothing was done');
"""


def opened(chrome: Browser, address: str) -> None:
    chrome.get(address)
    until(chrome, "document.readyState === 'complete' && window.htmx && window.tandem")
    chrome.execute_script(CLOCK)


def flat(chrome: Browser, position: str) -> None:
    chrome.execute_script("window.telling = true")
    event = {"kind": "position", "payload": {"id": position, "quantity": "0", "unrealised": "0"}}
    chrome.execute_script(f"new BroadcastChannel('tandem-U1').postMessage({json.dumps(event)})")


def test_a_list_waits_while_the_mouse_is_on_one_of_its_buttons(chrome: Browser, preview: str) -> None:
    opened(chrome, f"{preview}/orders")
    ActionChains(chrome).move_to_element(one(chrome, "#t-orders .acts button")).perform()
    until(chrome, "window.pointed > 0")
    assert chrome.execute_script("return window.tell('order')") == 0, "it is not even asked for"
    chrome.execute_script(MINUTE)  # a hand that only rests there keeps nothing back for ever
    chrome.execute_script("document.dispatchEvent(new PointerEvent('pointermove', window.place))")  # nor where a browser tells it again
    until(chrome, "window.sent === 1 && window.swaps[0]")


def test_a_halt_s_banner_waits_too_for_it_moves_the_whole_page(chrome: Browser, preview: str) -> None:
    opened(chrome, f"{preview}/positions")
    told = "return [window.tell('halt'), document.getElementById('toasts').textContent.includes('A stop was set or lifted')]"
    assert chrome.execute_script(f"window.point('#t-positions .acts a'); {told}") == [0, True], "but it is said at once"
    assert chrome.execute_script("window.point('.top .btn-stop'); return window.tell('halt')") == 1, "the header does not move with it"


def test_what_one_s_own_write_changed_is_shown_at_once(chrome: Browser, preview: str) -> None:
    opened(chrome, f"{preview}/orders")
    assert chrome.execute_script("window.point('#t-orders .acts button'); return window.tell('wrote')") > 0
    until(chrome, "window.swaps.length > 0 && window.swaps.every((each) => each)")


def test_an_answer_that_was_on_its_way_when_the_hand_came_waits_too(chrome: Browser, preview: str) -> None:
    opened(chrome, f"{preview}/orders")
    assert chrome.execute_script("const sent = window.tell('order'); window.point('#t-orders .acts button'); return sent") == 1
    until(chrome, "window.swaps.length === 1")
    assert chrome.execute_script("return window.swaps") == [False]
    chrome.execute_script(MINUTE)
    until(chrome, "window.swaps.length === 2 && window.swaps[1]")


def test_a_row_that_is_flat_goes_when_the_hand_has_gone(chrome: Browser, preview: str) -> None:
    opened(chrome, f"{preview}/positions")
    rows = "document.querySelectorAll('#t-positions tbody tr')"
    first = chrome.execute_script(f"return {rows}[0].id").removeprefix("p-")
    place = f"return {rows}[1].querySelector('.acts a:last-child').getBoundingClientRect().top"
    before = chrome.execute_script(place)
    chrome.execute_script("window.point('#t-positions tbody tr:nth-child(2) .acts a:last-child')")
    flat(chrome, first)
    until(chrome, f"document.querySelector('#p-{first}.gone')")
    becomes(chrome, place, before)
    chrome.execute_script(MINUTE)
    until(chrome, f"!document.querySelector('#p-{first}.gone')")


def test_a_tap_on_what_only_just_moved_there_does_nothing_and_says_so(chrome: Browser, preview: str) -> None:
    resize(chrome, 390, 844, phone=True)
    opened(chrome, f"{preview}/positions")
    first = chrome.execute_script("return document.querySelector('#t-positions tbody tr').id").removeprefix("p-")
    button = "#t-positions tbody tr:last-child .acts a:last-child"
    flat(chrome, first)
    # the row goes; the list that is asked for afresh has it again, for the book still has
    until(chrome, f"window.removed.includes('p-{first}') && document.getElementById('p-{first}')")
    assert chrome.execute_script(TAP, button) is False
    chrome.execute_script(MINUTE)
    chrome.execute_script("document.getElementById('toasts').replaceChildren()")
    assert chrome.execute_script(TAP, button) is True
    one(chrome, "#sheet[open]", "Close")


def test_what_the_accounts_would_do_moves_neither_the_next_one_nor_the_button(chrome: Browser, preview: str) -> None:
    opened(chrome, f"{preview}/order?symbol=NSE:INFY")
    places = (
        "return [...document.querySelectorAll('[data-preview] label, [data-ticket-send]')].map((each) => each.getBoundingClientRect().top)"
    )
    until(chrome, "document.querySelector('[data-ticket-quote] [data-part=last_price]').dataset.value === '1520.05'")
    before = chrome.execute_script(places)
    chrome.execute_script("document.querySelector('[data-ticket-all]').click()")
    for said in ("A3", "A5"):  # the one has a guarded position, the other's kill switch is on
        until(chrome, f"document.querySelector('[data-preview={said}] [data-preview-note]').textContent")
    until(chrome, "document.querySelector('[data-preview-sum]').textContent")
    becomes(chrome, places, before)
