"""How the report's page looks, light and dark."""

STYLE = """
:root{--ink:#1b2430;--soft:#5b6777;--line:#d5dbe3;--paper:#fff;--good:#d8f0dd}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf2;--soft:#9aa7b8;--line:#364152;
--paper:#141a22;--good:#1f4a2c}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;
max-width:84rem;padding:0 1rem}
h1{margin-bottom:.2rem}h2{margin-top:2rem;font-size:1.15rem}.caution{font-weight:600;margin-top:0}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px}
th,td{border:1px solid var(--line);padding:.3rem .35rem;text-align:left}
thead th{font-size:12px;vertical-align:bottom}tbody th{white-space:nowrap}
td{font-variant-numeric:tabular-nums}
small{font-size:11px;color:var(--soft);display:inline-block}
.winner{background:var(--good)}ul{color:var(--soft);padding-left:1.1rem}.note{color:var(--soft)}
.film{display:flex;flex-wrap:wrap;gap:.8rem;border-top:1px solid var(--line);padding:.8rem 0}
figure{margin:0;width:200px}img{width:100%;display:block;background:#000}
figcaption{font-size:12.5px;color:var(--soft);overflow-wrap:anywhere}
.shuffled{width:100%;margin:0;color:var(--soft);font-weight:600}.shuffled~figure{width:120px}
code{font-size:13px}
"""
