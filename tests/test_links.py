"""Links in the Markdown files: every relative one points to a file, every anchor to a heading. No network."""
import re
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r'(?<!\\)\]\(([^()\s]+(?:\([^()\s]*\))?)\)')
FENCE = re.compile(r'^(```+|~~~+).*?^\1 *$', re.M | re.S)


def markdown_files() -> list:
    names = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-co', '--exclude-standard', '*.md'], cwd=ROOT,
                           check=True, capture_output=True, text=True).stdout.split('\n')
    return sorted(name for name in set(names) if name and (ROOT / name).is_file() and not (ROOT / name).is_symlink())


@lru_cache(None)
def anchors(path: Path) -> frozenset:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r'^#{1,6} +(.+?) *#*$', FENCE.sub('', path.read_text()), re.M)
    slugs, count = set(), {}
    for heading in headings:
        text = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading).lower()
        slug = re.sub(r'[^\w\- ]', '', text).replace(' ', '-')
        slugs.add(f'{slug}-{count[slug]}' if slug in count else slug)
        count[slug] = count.get(slug, 0) + 1
    return frozenset(slugs)


def broken(path: Path) -> list:
    """The broken links of a page."""
    wrong = []
    for link in LINK.findall(re.sub(r'`[^`\n]*`', '', FENCE.sub('', path.read_text()))):
        if re.match(r'\w+:', link):
            continue
        name, _, anchor = link.partition('#')
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or ROOT not in (target, *target.parents):
            wrong.append(link)
        elif anchor and anchor not in anchors(target):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize('name', markdown_files())
def test_every_link_leads_somewhere(name):
    assert not broken(ROOT / name)


def test_broken_links_are_found(tmp_path, monkeypatch):
    monkeypatch.setitem(broken.__globals__, 'ROOT', tmp_path)
    (tmp_path / 'other.md').write_text('# A heading, `code`\n## Twice\n## Twice\n```\n# none\n```\n')
    page = tmp_path / 'page.md'
    page.write_text('# Page\n[1](other.md#a-heading-code) [2](#page) [3](https://a.b/c) [`x`](other.md#twice-1)\n'
                    '[4](gone.md) [5](other.md#none) [6](#other) [7](../x.md)\n'
                    '`[8](code.md)`\n```\n[9](code.md)\n```\n')
    assert broken(page) == ['gone.md', 'other.md#none', '#other', '../x.md']


def test_every_page_of_the_docs_is_in_the_table_of_contents():
    index = (ROOT / 'docs/index.md').read_text()
    toctree = {line.strip() for block in re.findall(r'```\{toctree\}\n(.*?)```', index, re.S) for line in block.split()}
    pages = {path.relative_to(ROOT / 'docs').with_suffix('').as_posix() for path in (ROOT / 'docs').rglob('*.md')}
    assert {page for page in pages - toctree - {'index'} if not re.match(r'(methods|results/|api/)', page)} == set()
