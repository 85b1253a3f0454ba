"""How the matrix's page looks, light and dark."""

STYLE = """
:root{--ink:#1b2430;--soft:#5b6777;--line:#d5dbe3;--paper:#fff;--good:#d8f0dd;--fair:#f5efc8;
--weak:#fadfc5;--failed:#f3cfd0;--missing:#e8ebef;--bar:#3a6ea5}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf2;--soft:#9aa7b8;--line:#364152;--paper:#141a22;
--good:#1f4a2c;--fair:#4d4617;--weak:#5c3917;--failed:#5e2529;--missing:#2a323d;--bar:#7fb0e6}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;
max-width:92rem;padding:0 1rem}
h1{margin-bottom:.2rem}.caution{font-weight:600;margin-top:0}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px}
th,td{border:1px solid var(--line);padding:.35rem .5rem;text-align:left;vertical-align:top}
thead th{text-align:center;position:sticky;top:0;background:var(--paper)}
tbody th{font-weight:600;white-space:nowrap}tbody th small{display:block;color:var(--soft);
font-weight:400}.group th{background:var(--missing)}
.matrix td{min-width:7.2rem}a{color:inherit}
.good{background:var(--good)}.fair{background:var(--fair)}.weak{background:var(--weak)}
.failed{background:var(--failed)}.missing{background:var(--missing);color:var(--soft)}
.legend span{padding:.1rem .4rem;border:1px solid var(--line)}
.bar{display:block;height:4px;margin-top:2px;background:var(--line)}
.bar i{display:block;height:4px;background:var(--bar)}
details{margin:.4rem 0}summary{cursor:pointer;font-weight:600}code{font-size:13px}
"""
