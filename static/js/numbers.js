// How a number that a person typed is read. Commas may stand between thousands, the western way (1,234,567.89) or the Indian one (12,34,567.89),
// and are left out there; any other comma may have been meant as a decimal point, so it is left as typed and refused before anything is sent.

const GROUPED = /^[+-]?(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})*,\d{3})(?:\.\d*)?$/;

export function plain(text) {
  const bare = text.trim().replace(/^₹\s*/, "");
  return GROUPED.test(bare) ? bare.replaceAll(",", "") : bare;
}

// What is wrong with the commas of a number, for whoever typed it; "" when nothing is.
export function mistyped(text) {
  const bare = plain(text);
  if (!/^[+-]?[\d.,]*,[\d.,]*$/.test(bare)) return ""; // no number at all: the server says what it wants
  const [, whole, part] = /^([+-]?[\d.]*),(\d*)$/.exec(bare) ?? [];
  if (part && !/\..*\./.test(whole)) return `Write ${whole.replace(".", "") || "0"}.${part} with a point: commas are only between thousands`;
  return "Commas are only between thousands (1,00,000.50 or 100,000.50); write 1.5 with a point";
}
