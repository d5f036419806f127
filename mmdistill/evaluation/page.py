"""The frame of the report's page: $title, $lead and $body are filled in."""
from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --ink: #1c2430; --soft: #5b6675; --page: #f5f6f8; --card: #fff; --line: #dfe3e9; --accent: #2368c4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #9ba6b5; --page: #14181e; --card: #1d232b; --line: #323a46; --accent: #6aa5f2; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.25rem; margin: 0 0 12px; }
h3 { font-size: 1rem; margin: 16px 0 4px; }
p { margin: 0 0 12px; max-width: 75ch; }
.lead { color: var(--soft); font-size: 1.1rem; margin: 4px 0 0; }
.note { color: var(--soft); font-size: .9rem; margin: 10px 0 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
section { padding: 20px; margin-top: 20px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 12px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
thead th { color: var(--soft); font-size: .85rem; font-weight: 600; }
th:first-child { text-align: left; padding-left: 0; }
tbody th { font-weight: 600; }
tbody tr:last-child > * { border-bottom: 0; }
.bar { display: block; height: 5px; min-width: 90px; margin-top: 3px; background: var(--line); border-radius: 3px; }
.bar i { display: block; height: 100%; background: var(--accent); border-radius: 3px; }
.chart { display: block; width: 100%; max-width: 860px; margin: 0 auto 16px; background: #fff; border-radius: 8px; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .45em; border-radius: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; color: var(--soft); font-size: .9rem; max-width: none; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); gap: 16px; }
figure { margin: 0; min-width: 0; }
figure div { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; gap: 3px; }
figure img { display: block; width: 100%; height: auto; border-radius: 4px; }
.small img { image-rendering: pixelated; }
figcaption { color: var(--soft); font-size: .8rem; line-height: 1.35; margin-top: 4px; }
figcaption b { color: var(--ink); }
dl { display: grid; grid-template-columns: minmax(7em, auto) 1fr; gap: 4px 16px; margin: 0; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--soft); margin: 12px 0 8px; font-size: .9rem; }
pre { margin: 0; padding: 10px 12px; background: var(--page); border-radius: 6px; font-size: .85rem; }
pre { overflow-x: auto; }
@media (max-width: 600px) {
  main { padding: 20px 12px 40px; }
  section { padding: 14px; }
  table { font-size: .82rem; }
  th, td { padding: 5px 6px; }
  thead th { font-size: .75rem; white-space: normal; vertical-align: bottom; }
  .bar { min-width: 56px; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 8px; }
}
</style>
</head>
<body>
<main>
<header><h1>$title</h1><p class="lead">$lead</p></header>
$body
</main>
</body>
</html>
""")
