"""The style of the stand-alone report: dark on a screen, black on white on paper, the same colours of gain and loss as the product's pages."""

STYLE = """
:root { color-scheme: dark; --bg: #0b0f16; --panel: #121821; --raised: #1a222e; --line: #232d3b; --strong: #36445a; --text: #e2e8f2; --muted: #97a4b8;
  --accent: #6aa5ff; --up: #3fce92; --down: #ff7a7f; --warn: #f6bd58; --gold: #d9b36c; --wash: #6aa5ff1f; --sink: #ff7a7f33 }
@media print { :root { color-scheme: light; --bg: #fff; --panel: #fff; --raised: #f3f5f9; --line: #d5dbe5; --strong: #b0bac8; --text: #111; --muted: #555;
  --accent: #1858c4; --up: #067046; --down: #bf2434; --warn: #845300; --gold: #8a6a1f; --wash: #1858c414; --sink: #bf243426 } }
* { box-sizing: border-box }
html { scroll-padding-top: 3.2rem }
body { margin: 0; background: var(--bg); color: var(--text); font: 14px/1.5 Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif }
main, header, footer { max-width: 1240px; margin: 0 auto; padding: 0 20px }
header { padding-top: 26px }
h1 { margin: 0; font-size: 1.45rem; font-weight: 650; letter-spacing: -.01em }
h1 span { color: var(--muted); font-weight: 400 }
h2 { margin: 0 0 10px; font-size: 1.02rem; font-weight: 650 }
h3 { margin: 0 0 6px; font-size: .86rem; font-weight: 600; color: var(--muted) }
p { margin: 0 0 10px } .panel > :last-child { margin-bottom: 0 } .wide + p, svg + p, .on-narrow + p, .on-narrow + .wide { margin-top: 10px }
.quiet, .sub, figcaption { color: var(--muted) }
.sub { margin: 3px 0 0; font-size: .86rem }
.up { color: var(--up) } .down { color: var(--down) } .muted { color: var(--muted) } .warn { color: var(--warn) }
nav { position: sticky; top: 0; z-index: 3; background: var(--bg); border-bottom: 1px solid var(--line); margin-top: 16px }
nav div { max-width: 1240px; margin: 0 auto; padding: 0 12px; display: flex; overflow-x: auto; scrollbar-width: none }
nav a { padding: 10px 9px; color: var(--muted); text-decoration: none; white-space: nowrap; font-size: .86rem; border-radius: 6px }
nav a:hover, nav a:focus-visible { color: var(--text) }
section { padding-top: 26px }
.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px }
.grid { display: grid; gap: 14px } .two { grid-template-columns: repeat(2, minmax(0, 1fr)) } .three { grid-template-columns: repeat(3, minmax(0, 1fr)) }
.grid > * { min-width: 0 }

.lead { display: grid; grid-template-columns: minmax(260px, 1.15fr) 3fr; gap: 14px; margin-top: 18px }
.sum { display: flex; flex-direction: column; justify-content: center }
.sum .big { font-size: 2rem; line-height: 1.15; font-weight: 650; letter-spacing: -.02em; font-variant-numeric: tabular-nums }
.sum .pct { font-size: 1.02rem; font-variant-numeric: tabular-nums }
.sum dl { margin: 12px 0 0; padding-top: 10px; border-top: 1px solid var(--line); font-variant-numeric: tabular-nums }
.sum dl div { display: flex; justify-content: space-between; gap: 12px } .sum dt { color: var(--muted) } .sum dd { margin: 0 }
.sum dl div:last-child { font-weight: 650 } .sum dl div:last-child dt { color: var(--text) }
.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 10px; margin: 0 }
.tiles div { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 10px 14px }
.tiles dt { font-size: .78rem; color: var(--muted) }
.tiles dd { margin: 1px 0 0; font-size: 1.2rem; font-weight: 600; font-variant-numeric: tabular-nums; letter-spacing: -.01em }
.tiles small { display: block; font-size: .76rem; font-weight: 400; letter-spacing: 0; color: var(--muted) }

ul.notes { list-style: none; margin: 14px 0 0; padding: 10px 14px; border: 1px solid var(--line); border-left: 3px solid var(--warn);
  border-radius: 4px 10px 10px 4px; background: var(--panel) }
ul.notes li { padding: 1px 0 } ul.plain { margin: 0; padding-left: 1.1rem; color: var(--muted) } ul.plain li { padding: 2px 0 }

.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 8px; color: var(--muted); font-size: .84rem }
.legend b { color: var(--text); font-weight: 600; font-variant-numeric: tabular-nums }
.legend i { display: inline-block; width: 18px; height: 0; border-top: 2px solid var(--accent); margin-right: 6px; vertical-align: 4px }
.legend i.gross { border-top: 2px dashed var(--gold) } .legend i.held { border-top: 2px dotted var(--muted) }
.legend i.band { height: 9px; border: 0; background: var(--wash); vertical-align: -1px } .legend i.fall { height: 9px; border: 0; background: var(--sink); vertical-align: -1px }

svg { display: block; width: 100%; height: auto } .on-narrow { display: none }
svg text { fill: var(--muted); font-size: 11px; font-family: inherit; font-variant-numeric: tabular-nums } svg .end { text-anchor: end } svg .mid { text-anchor: middle }
.line { fill: none; stroke: var(--accent); stroke-width: 1.8; stroke-linejoin: round } .line.gross { stroke: var(--gold); stroke-width: 1.3; stroke-dasharray: 5 4 }
.line.held { stroke: var(--muted); stroke-width: 1.3; stroke-dasharray: 1.5 3.5; stroke-linecap: round } .line.up { stroke: var(--up) } .line.down { stroke: var(--down) }
.grid line, line.grid { stroke: var(--line); stroke-width: 1 } line.base { stroke: var(--strong); stroke-width: 1 }
path.area, path.band { fill: var(--wash) } path.fall { fill: var(--sink) }
rect.up, circle.up { fill: var(--up) } rect.down, circle.down { fill: var(--down) } circle { fill-opacity: .55 }
.closeup rect.held { fill: var(--wash) } .wick { stroke-width: 1; fill: none } .wick.up { stroke: var(--up) } .wick.down { stroke: var(--down) }
.closeup .stop { fill: none; stroke: var(--warn); stroke-width: 1.3; stroke-dasharray: 4 3 } .way { stroke: var(--text); stroke-width: 1; stroke-opacity: .55 }
.mark { stroke: var(--text); stroke-width: 1.2 } .mark.buy.in, .mark.sell.in { fill: var(--text) } .mark.out { fill: var(--bg) }
svg.spark { width: 120px; height: 28px } svg.bar { width: 100%; min-width: 64px; height: 12px } svg.bar rect { fill-opacity: .8 }
.cards { columns: 2; column-gap: 14px } .cards > * { break-inside: avoid; margin-bottom: 14px }
figure { margin: 0 } figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 12px; font-size: .8rem; margin-bottom: 6px }
figcaption b { color: var(--text); font-weight: 600; font-size: .88rem } figcaption .up, figcaption .down { font-weight: 600; font-variant-numeric: tabular-nums }

.wide { overflow-x: auto } table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem }
th, td { padding: 4px 10px; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; font-weight: 400 }
tr > :first-child { padding-left: 2px } tr > :last-child { padding-right: 2px }
thead th { color: var(--muted); font-size: .78rem } tbody tr:last-child > * { border-bottom: 0 } tbody tr:hover { background: var(--raised) }
th.n, td.n { text-align: right } th small { display: block; color: var(--muted); font-size: .75rem; white-space: normal; line-height: 1.3 }
tfoot > tr > * { border-top: 1px solid var(--strong); border-bottom: 0; font-weight: 600 } td.bars { width: 22% } tbody th[scope=row] { white-space: normal; min-width: 6.5rem } .cards table { font-size: .84rem } .cards th, .cards td { padding: 4px 6px } .months tbody th[scope=row] { min-width: 0 } table.list { font-size: .8rem } .list th, .list td { padding: 4px 6px }
.list tbody th[scope=row] { min-width: 0 }
table.figures th[scope=row] { white-space: normal } table.figures td { vertical-align: top }
table.months td, table.months th { text-align: right; padding: 5px 7px } table.months th[scope=row] { text-align: left }
table.months small { display: block; font-size: .74rem; opacity: .8 } table.months tbody tr:hover { background: none }
.g1 { background: #3fce921a } .g2 { background: #3fce9233 } .g3 { background: #3fce924d } .g4 { background: #3fce9273 }
.r1 { background: #ff7a7f1a } .r2 { background: #ff7a7f33 } .r3 { background: #ff7a7f4d } .r4 { background: #ff7a7f73 }
.scroll { max-height: 70vh; overflow: auto } .scroll thead th { position: sticky; top: 0; background: var(--panel); z-index: 1 } .scroll .wide { overflow: visible }
.facts { margin: 0 } .facts div { display: grid; grid-template-columns: 13rem 1fr; gap: 14px; padding: 5px 0; border-bottom: 1px solid var(--line) }
.facts div:last-child { border: 0 } .facts dt { color: var(--muted) } .facts dd { margin: 0; overflow-wrap: anywhere }
.chip { display: inline-block; border-radius: 99px; padding: 0 9px; font-size: .78rem; line-height: 1.6; border: 1px solid currentcolor }
details > summary { cursor: pointer; color: var(--muted); padding: 2px 0 } details[open] > summary { margin-bottom: 8px }
footer p { margin-top: 12px } footer { padding: 30px 20px 50px; color: var(--muted); font-size: .84rem }

@media (max-width: 1000px) { .two, .three { grid-template-columns: minmax(0, 1fr) } .cards { columns: 1 } .lead { grid-template-columns: minmax(0, 1fr) } }
@media (max-width: 640px) {
  main, header { padding-left: 12px; padding-right: 12px } footer { padding-left: 12px; padding-right: 12px }
  .on-wide { display: none } .on-narrow { display: block } .panel { padding: 12px }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px } .tiles div { padding: 8px 10px } .tiles dd { font-size: 1.05rem }
  .sum .big { font-size: 1.75rem } th, td { padding: 4px 7px } .facts div { grid-template-columns: 1fr; gap: 0 }
  td.bars, th.bars { display: none } tbody th[scope=row] { min-width: 6.5rem; position: sticky; left: 0; background: var(--panel); z-index: 1 } section { padding-top: 20px }
}
@media print { nav { display: none } .scroll { max-height: none; overflow: visible } .panel, figure { break-inside: avoid } body { font-size: 11px } }
"""
