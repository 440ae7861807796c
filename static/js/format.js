// How numbers look: the same rules as app/pages/format.py (a test holds the two together). Values come as decimal text and are only
// rounded for showing.

const DASH = "–";
const MINUS = "\u2212";
const SYMBOLS = { INR: "₹", USD: "$" };

// Decimal text → [negative, whole digits, fraction digits], or null.
function parts(value) {
  const found = /^\s*([+-]?)(\d*)(?:\.(\d*))?\s*$/.exec(String(value ?? ""));
  if (!found || !(found[2] || found[3])) return null;
  return [found[1] === "-", found[2].replace(/^0+(?=\d)/, "") || "0", (found[3] || "").replace(/0+$/, "")];
}

// Rounds half up on digits, so that no binary fraction creeps in.
function rounded([negative, whole, fraction], places) {
  if (fraction.length <= places) return [negative, whole, fraction.padEnd(places, "0")];
  let digits = BigInt(whole + fraction.slice(0, places));
  if (fraction[places] >= "5") digits += 1n;
  const text = digits.toString().padStart(places + 1, "0");
  return [negative, text.slice(0, text.length - places), places ? text.slice(-places) : ""];
}

function grouped(whole) {
  const tail = whole.slice(-3);
  const head = whole.slice(0, -3).replace(/\B(?=(\d\d)+$)/g, ",");
  return head ? `${head},${tail}` : tail;
}

function written(number, places, signed, symbol = "") {
  const [negative, whole, fraction] = rounded(number, places);
  const zero = !/[1-9]/.test(whole + fraction);
  const sign = zero ? "" : negative ? MINUS : signed ? "+" : "";
  return `${sign}${symbol}${grouped(whole)}${fraction ? `.${fraction}` : ""}`;
}

export function money(value, currency = "INR", signed = false, places = 2) {
  const number = parts(value);
  if (!number) return DASH;
  const symbol = SYMBOLS[currency];
  if (!symbol && places === 2) places = telling(number);
  return symbol ? written(number, places, signed, symbol) : `${written(number, places, signed)} ${currency}`;
}

// Two places, or as many as say something of a sum in coins that two would hide.
function telling([, whole, fraction]) {
  const zeros = fraction.search(/[1-9]/);
  if (whole !== "0" || zeros < 2 || zeros > 8 || (zeros === 8 && fraction[8] < "5")) return 2;
  return Math.min(zeros + 3, fraction.length, 8);
}

export function price(value) {
  const number = parts(value);
  return number ? asPrice(number, number[1].length >= 2 ? 2 : 4) : DASH;
}

export function coin(value) {
  const number = parts(value);
  return number ? asPrice(number, number[1].length >= 4 ? 2 : number[1].length >= 2 ? 4 : 8) : DASH;
}

export function rate(value) {
  const number = parts(value);
  return number ? asPrice(number, 4) : DASH;
}

function asPrice(number, most) {
  return written(number, Math.max(2, Math.min(number[2].length, most)), false);
}

// `shape`: one of the three, or price4: with all four places.
export function priced(value, shape) {
  const places = /^price(\d+)$/.exec(shape)?.[1];
  if (!places) return { price, coin, rate }[shape](value);
  const number = parts(value);
  return number ? written(number, Number(places), false) : DASH;
}

export function priceShape(symbol, tick) {
  const step = parts(tick);
  if (step) return `price${Math.max(2, step[2].length)}`;
  const name = (symbol ?? "").toUpperCase();
  return name.startsWith("BINANCE") ? "coin" : /^(CDS|BCD):/.test(name) ? "rate" : "price";
}

// The whole number where what is shown leaves digits out, else nothing.
export function unrounded(value, shown) {
  const number = parts(value);
  if (!number || number[2].length <= (shown.split(".")[1] ?? "").length) return "";
  return `${number[0] ? "-" : ""}${number[1]}.${number[2]}`;
}

export function quantity(value, signed = false) {
  const number = parts(value);
  return number ? written(number, number[2].length, signed) : DASH;
}

// A count that nobody reads to its end: 7, 99+.
export function unread(value) {
  return Number(value) > 99 ? "99+" : quantity(value);
}

export function percent(value, places = 1) {
  const number = parts(value);
  return number ? `${written(number, places, false)} %` : DASH;
}

export function age(value) {
  if (value === null || value === undefined || value === "") return DASH;
  const ms = Number(value);
  if (ms < 1000) return `${Math.floor(ms)} ms`;
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 60000) return `${Math.floor(ms / 1000)} s`;
  if (ms < 3600000) return `${Math.floor(ms / 60000)} min`;
  if (ms < 86400000) return `${Math.floor(ms / 3600000)} h`;
  return `${Math.floor(ms / 86400000)} d`;
}

export function millis(value) {
  if (value === null || value === undefined || value === "") return DASH;
  const ms = Number(value);
  return ms < 100 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`;
}

// A number that was worked out here, as decimal text.
export function digits(value) {
  return value.toFixed(8).replace(/\.?0+$/, "");
}

export function tone(value) {
  const number = parts(value);
  if (!number || !/[1-9]/.test(number[1] + number[2])) return "flat";
  return number[0] ? "down" : "up";
}

export function words(code) {
  return String(code ?? "").replaceAll("_", " ");
}

export function shaped(value, shape, currency = "INR") {
  if (/^(price|coin|rate)/.test(shape)) return priced(value, shape);
  switch (shape) {
    case "money":
      return money(value, currency);
    case "signed":
      return money(value, currency, true);
    case "money0":
      return money(value, currency, false, 0);
    case "signed0":
      return money(value, currency, true, 0);
    case "quantity":
    case "count":
      return quantity(value);
    case "signed_quantity":
      return quantity(value, true);
    case "unread":
      return unread(value);
    case "percent":
      return percent(value);
    case "age":
      return age(value);
    case "millis":
      return millis(value);
    default:
      return words(value);
  }
}
