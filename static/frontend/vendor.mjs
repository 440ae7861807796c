// Makes static/vendor from the npm packages: copies what the pages load, cuts the fonts and icons to what they use, and writes down
// version, licence and hash of each file. Run by a person who upgrades an asset; serving and testing only read the result.

import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as sass from "sass";
import subsetFont from "subset-font";

const here = dirname(fileURLToPath(import.meta.url));
const vendor = join(here, "..", "vendor");
const templates = join(here, "..", "..", "templates");
const pages = join(here, "..", "..", "app", "pages");
const packages = join(here, "node_modules");

const COPIES = [
  { name: "htmx.org", from: "dist/htmx.min.js", to: "htmx.js", licence: "LICENSE" },
  { name: "idiomorph", from: "dist/idiomorph-ext.min.js", to: "idiomorph-ext.js", licence: "LICENSE" },
  { name: "lightweight-charts", from: "dist/lightweight-charts.standalone.production.mjs", to: "lightweight-charts.js", licence: "LICENSE", notice: "NOTICE" },
];
const GLYPHS = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("") + "\u00a0₹×−–—…·•←→↑↓▲▼✓≤≥±°‘’“”";
const COMMON = new Set(["at", "check", "clock", "cursor", "flag", "grid", "info", "lamp", "percent", "pin", "quote", "share", "signal", "stack", "stop", "ticket", "x", "table", "type", "columns", "search", "tag", "text-left", "link", "file", "body-text", "app", "image", "code", "input-cursor", "list-columns"]);

function about(name) {
  return JSON.parse(readFileSync(join(packages, name, "package.json"), "utf8"));
}

function put(name, file, content, licence, extra = {}) {
  const { version, license } = about(name);
  const folder = join(vendor, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, file), content);
  copyFileSync(join(packages, name, licence), join(folder, "LICENSE.txt"));
  const bytes = readFileSync(join(folder, file));
  return {
    file: `${name}/${file}`,
    package: name,
    version,
    licence: license,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    bytes: bytes.length,
    gzip: gzipSync(bytes, { level: 9 }).length,
    ...extra,
  };
}

function* files(folder) {
  for (const entry of readdirSync(folder)) {
    const path = join(folder, entry);
    if (statSync(path).isDirectory()) yield* files(path);
    else yield path;
  }
}

// Whatever is quoted in a template or page module and is the name of an icon. A few words too many cost less than an icon forgotten.
function iconNames() {
  const known = new Set(readdirSync(join(packages, "bootstrap-icons", "icons")).map((file) => file.replace(/\.svg$/, "")));
  const names = new Set();
  for (const path of [...files(templates), ...files(pages)]) {
    if (!/\.(html|py)$/.test(path)) continue;
    for (const match of readFileSync(path, "utf8").matchAll(/"([a-z0-9-]+)"/g)) if (known.has(match[1]) && !COMMON.has(match[1])) names.add(match[1]);
  }
  return [...names].sort();
}

function sprite(names) {
  const symbols = names.map((name) => {
    const svg = readFileSync(join(packages, "bootstrap-icons", "icons", `${name}.svg`), "utf8");
    const inner = svg.replace(/^[\s\S]*?<svg[^>]*>/, "").replace(/<\/svg>\s*$/, "").replace(/\s*\n\s*/g, "");
    return `<symbol id="${name}" viewBox="0 0 16 16">${inner}</symbol>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
}

rmSync(vendor, { recursive: true, force: true });
const rows = [];
for (const { name, from, to, licence, notice } of COPIES) {
  const source = readFileSync(join(packages, name, from), "utf8").replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");
  rows.push(put(name, to, source, licence));
  if (notice) {
    try {
      copyFileSync(join(packages, name, notice), join(vendor, name, "NOTICE.txt"));
    } catch {
      console.warn(`${name} has no ${notice}`);
    }
  }
}
const css = sass.compile(join(here, "bootstrap.scss"), { style: "compressed", loadPaths: [here], quietDeps: true, silenceDeprecations: ["import", "global-builtin", "color-functions", "if-function"] }).css;
rows.push(put("bootstrap", "bootstrap.css", css.replace(/^\uFEFF/, ""), "LICENSE", { cut: "compiled from frontend/bootstrap.scss" }));
const names = iconNames();
rows.push(put("bootstrap-icons", "icons.svg", sprite(names), "LICENSE", { cut: `${names.length} icons, those that templates and pages name` }));
const font = await subsetFont(readFileSync(join(packages, "inter-ui", "variable", "InterVariable.woff2")), GLYPHS, {
  targetFormat: "woff2",
  variationAxes: { wght: { min: 400, max: 650 }, opsz: 14 },
  keepFeatures: ["kern", "tnum", "ccmp", "case"],
  preserveNameIds: [0, 13, 14],
});
rows.push(put("inter-ui", "inter.woff2", font, "LICENSE.txt", { cut: "ASCII and a few signs, weights 400 to 650" }));

writeFileSync(join(vendor, "VENDOR.json"), JSON.stringify(rows, null, 2) + "\n");
console.table(rows.map(({ file, version, licence, bytes, gzip }) => ({ file, version, licence, bytes, gzip })));
