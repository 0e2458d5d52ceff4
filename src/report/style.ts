/** The look of a report: light and dark, narrow, printed. Colours of lines hold 3:1 against both grounds. */
export const style = `
:root { color-scheme: light dark; --ground: #fff; --ink: #1c1f24; --soft: #5a6270; --rule: #dfe3e8; --panel: #f6f7f9;
  --c0: #1f6feb; --c1: #c2500a; --c2: #16803c; --c3: #a626a4; --c4: #b8860b; --c5: #0e7c86; --c6: #d1242f; --c7: #6e5494 }
@media (prefers-color-scheme: dark) { :root { --ground: #14171c; --ink: #e6e9ee; --soft: #a0a8b4; --rule: #333a44; --panel: #1c2027;
  --c0: #6cb0ff; --c1: #ff9d5c; --c2: #5fd38a; --c3: #e58be3; --c4: #e5c04b; --c5: #4fd1dc; --c6: #ff7b84; --c7: #b9a2f0 } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 68rem; color: var(--ink);
  background: var(--ground); overflow-wrap: anywhere }
h1 { font-size: 1.6rem; margin: 0 0 .25rem } h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; border-bottom: 1px solid var(--rule); padding-bottom: .25rem }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem }
nav ul, ul.key { list-style: none; margin: 0; padding: 0 } nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem }
a { color: var(--c0) } :focus-visible { outline: 2px solid var(--c0); outline-offset: 2px }
table { border-collapse: collapse; font-variant-numeric: tabular-nums } caption { text-align: left; color: var(--soft); padding: .25rem 0 }
th, td { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--rule) }
th { font-weight: 600; white-space: nowrap } table.compact td { white-space: nowrap } .scroll table.wrap { overflow-wrap: anywhere } table.wrap td { min-width: 9rem } table.figures thead th + th { text-align: right }
@media (max-width: 40rem) { th { white-space: normal } th, td { padding-right: .6rem } } thead th { color: var(--soft); font-weight: 400 } td.number { text-align: right; white-space: nowrap }
.scroll { overflow-x: auto } .scroll table { overflow-wrap: normal }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem 2rem }
figure { margin: 0; break-inside: avoid } figcaption { font-weight: 600 } figure.whole figcaption { font-weight: 400; color: var(--soft) }
.charts figure { max-width: 31rem } svg { display: block; width: 100%; overflow: visible } svg.swatch { display: inline-block; width: 22px; height: 12px; margin-right: .4rem }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft) } svg text.name { font-size: 13px; fill: var(--ink) }
.grid { stroke: var(--rule) } .link { stroke: var(--soft); stroke-dasharray: 2 3 } .tick { stroke: var(--ground); stroke-width: 1.5 }
.line { fill: none; stroke-width: 1.75; stroke-linejoin: round; stroke-linecap: round } .dashed { stroke-dasharray: 6 4 }
svg.graph { width: auto; max-width: none; margin: 1rem 0 } .node { fill: var(--panel); stroke: var(--soft) } .edge { fill: none; stroke: var(--soft); stroke-width: 1.5 }
ul.key.inline { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem } .event { fill: var(--ground); stroke: var(--ink); stroke-width: 2 }
${[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `.c${n} { stroke: var(--c${n}) } .bar.c${n} { fill: var(--c${n}) }`).join(' ')}
ul.key { font-size: .85rem; color: var(--soft) } ul.key b { color: var(--ink) }
svg.album { position: absolute } svg.thumb { display: inline-block; width: auto; max-width: 100%; background: var(--panel) } img.map { image-rendering: pixelated; max-width: 100% }
.pics { display: flex; flex-wrap: wrap; gap: .5rem; align-items: flex-start } .pic { position: relative; display: inline-flex; border: 3px solid transparent } .pic.right { border-color: var(--c2) }
@media (max-width: 40rem) { .pic { width: calc((100% - 2rem) / 5) } .pic svg.thumb { height: auto } }
.pic b { position: absolute; right: 0; bottom: 0; padding: 0 .3rem; background: var(--ground); color: var(--c2) } .found, .beside, .maps { margin: .75rem 0; break-inside: avoid } .found p { margin: 0 0 .25rem }
.beside, .maps { display: flex; gap: .75rem; align-items: flex-start } .beside ol, .beside ul { margin: 0 } .beside > svg, .beside > img { flex: none } .maps { flex-wrap: wrap } .maps > * { flex: none }
figure.one { width: 8rem } figure.one figcaption { font-weight: 400; font-size: .8rem } details > summary { font-weight: 600; margin: .75rem 0 .25rem } .box { fill: none; stroke-width: 2 }
p.absent, .none { color: var(--soft) } .differs { font-weight: 600 }
pre { background: var(--panel); padding: .75rem; overflow-x: auto; font-size: .8rem; overflow-wrap: normal } summary { cursor: pointer }
@media print { :root { color-scheme: light; --ground: #fff; --ink: #000; --soft: #444; --rule: #bbb; --panel: #fff;
  --c0: #1f6feb; --c1: #c2500a; --c2: #16803c; --c3: #a626a4; --c4: #8a6508; --c5: #0e7c86; --c6: #d1242f; --c7: #6e5494 }
  svg.graph { max-width: 100%; height: auto } nav, details:not([open]) { display: none } body { max-width: none; padding: 0 } h2, h3, p.absent { break-after: avoid } tr { break-inside: avoid }
  rect, line, path, circle, svg, img { print-color-adjust: exact; -webkit-print-color-adjust: exact } .scroll { overflow: visible } pre, th, table.compact td { white-space: pre-wrap } }
`;
