"""Pages as text: what people write and generators make is readable, and what is hostile costs little."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.workspace.html_markdown import LINE, folded, readable

ADDRESS = "https://docs.test/a/b.html"


def text(page: str) -> str:
    return readable(page, ADDRESS).text


def fenced(code: str, language: str = "") -> str:
    return f"```{language}\n{code}\n```"


SPHINX_LINES = """<div class="highlight-python3"><table class="highlighttable"><tr><td class="linenos"><div class="linenodiv">
<pre><span>1</span>\n<span>2</span></pre></div></td><td class="code"><div class="highlight"><pre><span></span>def a():
    pass\n</pre></div></td></tr></table></div>"""
HUGO_LINES = (
    "<div class=highlight><table class=lntable><tr><td><pre><code><span class=lnt>1\n</span></code></pre></td>"
    "<td><pre><code class=language-go data-lang=go>x := 1\n</code></pre></td></tr></table></div>"
)
ROUGE_LINES = (
    '<div class="language-ruby highlighter-rouge"><pre class=highlight><code><table class=rouge-table><tbody><tr>'
    "<td class='rouge-gutter gl'><pre class=lineno>1\n2\n</pre></td><td class=rouge-code><pre>def a\n  1\n</pre></td>"
    "</tr></tbody></table></code></pre></div>"
)
GIST = "".join(
    f"<tr><td class='blob-num js-line-number'></td><td class='blob-code js-file-line'>{line}</td></tr>"
    for line in ("<span>def</span> f():", "    return 1", "", "x")
)

FILE_LINES = """<div class="language-py highlight"><table class="highlighttable"><tr><th colspan="2" class="filename"><span
class="filename">bubble.py</span></th></tr><tr><td class="linenos"><div class="linenodiv"><pre>1\n2</pre></div></td><td class="code">
<div><pre><span></span><code>def a():\n    pass\n</code></pre></div></td></tr></table></div>"""

DOXYGEN_LINES = (
    '<div class="fragment"><div class="line"><a id="l1"></a><span class="lineno">    1</span>&#160;<span class="keyword">'
    'if</span> (a)</div>\n<div class="line"><span class="lineno">    2</span>  <a href="b.html">b</a>();</div>\n'
    '<div class="line"> </div>\n<div class="line">c</div>\n<div class="ttc" id="x"><div class="ttname">b</div></div></div>'
)
RUSTDOC_LINES = (
    '<div class="example-wrap"><pre class="line-numbers"><span id="1">1</span>\n<span id="2">2</span>\n</pre>'
    '<pre class="rust"><code>fn a() {\n}</code></pre></div>'
)
RUSTDOC_LINKS = (
    "<pre class=rust><code><a href=#1 id=1 data-nosnippet>1</a>fn a() {\n<a href=#2 id=2>2</a>}</code></pre>"
)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<pre><code class='language-js'>a\n\n\n  b  \nc</code></pre>", fenced("a\n\n\n  b  \nc", "js")),
        ("<div class='highlight-python3 notranslate'><div class=highlight><pre>x</pre></div></div>", fenced("x", "python3")),
        ("<div class='highlight highlight-source-c++'><pre>x</pre></div>", fenced("x", "c++")),
        ("<pre class='brush: js notranslate'><code>x</code></pre>", fenced("x", "js")),
        ("<pre class='sourceCode python'><code class='sourceCode python'>x</code></pre>", fenced("x", "python")),
        ("<pre><code class='hljs rust'>x</code></pre>", fenced("x", "rust")),
        ("<div class=highlight-default><pre>x</pre></div>", fenced("x")),
        ("<pre data-language=ts><code><div>if (a) {</div><div><span>  </span>b</div><div>}</div></code></pre>", fenced("if (a) {\n  b\n}", "ts")),
        ("<pre class=language-js><code><span>a {<br></span><span>  b<br></span></code></pre>", fenced("a {\n  b", "js")),
        ("<pre>a <a href=/x>link</a> <img alt=i> &lt;p&gt; *b* a_b | c</pre>", fenced("a link [image: i] <p> *b* a_b | c")),
        ("<pre>```py\nx\n```</pre>", "````\n```py\nx\n```\n````"),
        (SPHINX_LINES, fenced("def a():\n    pass", "python3")),
        (HUGO_LINES, fenced("x := 1", "go")),
        (ROUGE_LINES, fenced("def a\n  1", "ruby")),
        (DOXYGEN_LINES, fenced("\u00a0if (a)\n  b();\n \nc")),
        (RUSTDOC_LINES, fenced("fn a() {\n}")),
        (RUSTDOC_LINKS, fenced("fn a() {\n}")),
        ("<pre class='line-numbers language-js'><code>let a</code></pre>", fenced("let a", "js")),
        ("<pre class=line-numbers>1 2\nx</pre>", fenced("1 2\nx")),
        (
            "<table class=memname><tr><td>void f</td><td>(</td><td>int </td><td><em>a</em>, </td></tr><tr><td></td><td></td>"
            "<td>T<sub>2</sub></td><td>b</td><td>)</td><td>const</td></tr></table>",
            fenced("void f (int a, T 2 b) const"),
        ),
        (f"<table class=highlight>{GIST}</table>", fenced("def f():\n    return 1\n\nx")),
        (FILE_LINES, "bubble.py\n\n" + fenced("def a():\n    pass", "py")),
        ("<div class='mw-highlight mw-highlight-lang-python'><pre>x</pre></div>", fenced("x", "python")),
        ("<pre lang=sh><code>x</code></pre>", fenced("x", "sh")),
        ("<pre lang=en><code class=lang-auto>x</code></pre>", fenced("x")),
        ("<code style='white-space: pre'>a  {<br>  <b>b</b>  <i>c</i>\n}</code>", fenced("a  {\n  b  c\n}")),
        ("<p>in <code style='white-space:pre'>a line</code>", "in `a line`"),
        # the name of a language above its code is no text, any other line is
        ("<div class=x><div class=example-header><span>js</span><button>Copy</button></div><pre class='brush: js'>x</pre></div>", fenced("x", "js")),
        ("<div class='language-ts vp'><button></button><span class=lang>TS</span><pre><code><span class=line>x</span>\n</code></pre></div>", fenced("x", "ts")),
        ("<h3>JS</h3><pre class=language-js>x</pre>", "### JS\n\n" + fenced("x", "js")),
        ("<p>a.js</p><pre class=language-js>x</pre>", "a.js\n\n" + fenced("x", "js")),
        ("<pre><span id=L1 class=ln>     1\u00a0\u00a0</span>a := 1\n<span class=ln>    12\u00a0\u00a0</span>b</pre>", fenced("a := 1\nb")),
        ("<div class=line-numbers><a class='file-line-num' id=L1>1</a><a class='file-line-num' id=L2>2</a></div><pre><code>a\nb</code></pre>", fenced("a\nb")),
        ("<pre><code><span class=codeLineNumber_x>7</span><span class=number>7</span>\n<span class=line>7</span></code></pre>", fenced("7\n7")),
        (
            "<table><tr><td class=lines-num><span data-line-number=1></span></td><td class='lines-code chroma'><code>a</code></td></tr>"
            "<tr><td class=lines-num></td><td class='lines-code chroma'><code>  b</code></td></tr></table>",
            fenced("a\n  b"),
        ),
        ("<ul><li>do:<pre>a\n\n  b</pre></ul>", "- do:\n\n  ```\n  a\n\n    b\n  ```"),
    ],
)  # fmt: skip
def test_code_stands_as_it_is_with_its_language(page: str, said: str) -> None:
    assert text(f"<h1>T</h1>{page}") == f"# T\n\n{said}"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (
            "<thead><tr><th><p>k</p><th>v<tbody><tr><td>a|b<td>1<br>2",
            "| k | v |\n| --- | --- |\n| a\\|b | 1 2 |",
        ),
        (
            "<tr><th>k</th><th>v</th><th>n</th></tr><tr><td rowspan=2>A</td><td>1</td><td>x</td></tr>"
            "<tr><td>2</td><td>y</td></tr><tr><td colspan=2>B</td><td>z</td></tr>",
            "| k | v | n |\n| --- | --- | --- |\n| A | 1 | x |\n| A | 2 | y |\n| B | | z |",
        ),
        (
            "<tr><td><table><tr><td>menu</td></tr></table></td><td><h1>Title</h1><p>Words<table><tr><th>x<th>y<tr><td>1<td>2"
            "</table></td></tr>",
            "menu\n\n# Title\n\nWords\n\n| x | y |\n| --- | --- |\n| 1 | 2 |",
        ),
        # what has a head is no layout, whatever its cells are marked up with
        (
            "<thead><tr><th>method<th>path<th>notes<tbody><tr><td><h4>get</h4><td><pre><code>/users/{id}</code></pre>"
            "<td><blockquote>a</blockquote><ul><li>b",
            "| method | path | notes |\n| --- | --- | --- |\n| get | `/users/{id}` | a - b |",
        ),
        (
            "<tr><th>k<th>v<tr><td><h3>a</h3><td><pre>one\ntwo</pre>",
            "k v\n\n### a\n\n" + fenced("one\ntwo"),
        ),
        ("<tr><td><p>one</p><pre>a\n  b</pre></td></tr>", "one\n\n" + fenced("a\n  b")),
        # nothing but words in its cells: a line each, as it is seen
        (
            "<tr><td>int</td><td><a>f</a> ()</td></tr><tr><td><p>a</td><td>b</td></tr><tr><td><h2>H",
            "int f ()\n\na\n\nb\n\n## H",
        ),
        ("<tr><td>only</td></tr><tr><td>column</td></tr>", "only\n\ncolumn"),
        # cells of no table, or of no row of it, are no cells
        ("</table><div><td colspan=x>a</div><tr><th>b</tr>c", "a\n\nb\n\nc"),
        ("<tr><td>a<td>b</tr><tr><section><td colspan=x>c</section></tr>", "a b\n\nc"),
        ("<tr><th>a<th>b</tr><tr><section><td colspan=x>c</section><td>d</tr>", "| a | b |\n| --- | --- |\n"),
        ("<pre><td colspan=x>a<tr><th>", fenced("a")),
        ("<tr><td colspan=9999999999>a<td rowspan=\u00b2>b</table><ol start=\u2461><li>c</ol>", "| a | b |"),
    ],
)
def test_tables_are_tables_and_layout_is_not(page: str, said: str) -> None:
    assert text(f"<table>{page}</table>").replace("|  |  |\n| --- | --- |\n", "").startswith(said)


def test_what_says_that_it_is_a_table_is_one() -> None:
    head = "<div role=rowgroup><div role=row><div role=columnheader>Name</div><span role=columnheader>Type</span></div></div>"
    row = "<div role=row><div role=rowheader>id</div><div role=cell><p>string</p></div></div>"
    page = f"<div role=table>{head}<div role=rowgroup>{row}{row}</div></div><div role=row><div role=cell>a</div></div>"
    assert text(page) == "| Name | Type |\n| --- | --- |\n| id | string |\n| id | string |\n\na"


def test_javadocs_summaries_are_tables() -> None:
    head = "".join(
        f"<div class='table-header col-{name}'>{name}</div>" for name in ("Modifier", "Method", "Description")
    )
    cells = "<div class=col-first><code>int</code></div><div class=col-second><a href=#x>f</a>()</div><div class=col-last><div class=block>Gives it.</div></div>"
    page = f"<div class='summary-table three-column-summary'>{head}{cells}{cells}</div>"

    row = "| `int` | f() | Gives it. |"
    assert text(page) == f"| Modifier | Method | Description |\n| --- | --- | --- |\n{row}\n{row}"
    # one cell short: nobody knows where it is missing
    assert "|" not in text(page.replace("<div class=col-first><code>int</code></div>", "", 1))


@pytest.mark.parametrize(
    ("page", "said"),
    [
        # end tags that HTML lets out, the one of the head too
        ("<!doctype html><html><head><title>T</title><link rel=x><body><h1>Hi</h1><p>one<p>two", "# Hi\n\none\n\ntwo"),
        ("<head><title>a <b> c</title><p>text", "text"),
        # tags within attributes
        ("<div data-html=\"<p>tip</p>\" title='a > b'>seen</div><p data-x='{\"a\":\"<b>\"}'>more", "seen\n\nmore"),
        ("<my-element><p>in</p></my-element><p-button>ok</p-button><input-group>x</input-group>", "in\n\nokx"),
        # an end tag that ends nothing
        ("<table><tr><td>a</div></span></td><td>b</td></tr></table>", "|  |  |\n| --- | --- |\n| a | b |"),
        ("<p><a href=/docs/>docs</a> <a name=x/>a", "[docs](https://docs.test/docs/) a"),
        ("<p>if a < b and c <d then", "if a < b and c <d then"),
        ("<p>2<sup>32</sup> H<sub>2</sub>O a<sup><a href=#n>[1]</a></sup>", "2^32 H2O a[1]"),
        ("<math><semantics><mi>x</mi><annotation encoding='application/x-tex'>x^2</annotation></semantics></math>", "$x^2$"),
        # formulas: as TeX where the page has it, else as they are said
        ("<math alttext='{\\displaystyle a_b}'><mi>z</mi></math> <math display=block><annotation encoding='application/x-tex'>c", "$a_b$ $$c$$"),
        ("<math><msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mfrac><mrow><mi>a</mi><mo>-</mo><mn>1</mn></mrow><msqrt><mi>y</mi></msqrt></mfrac></math>", "$x^2+(a-1)/sqrt(y)$"),
        ("<math><msubsup><mi>a</mi><mi>i</mi><mn>10</mn></msubsup><mroot><mi>x</mi><mn>3</mn></mroot><mover><mi>v</mi><mo>\u2192</mo></mover></math>", "$a_i^10root(x, 3)v^\u2192$"),
        ("<math><mtable><mtr><mtd>1</mtd><mtd>2</mtd></mtr><mtr><mtd>3</mtd><mtd>4</mtd></mtr></mtable></math>", "$[1, 2; 3, 4]$"),
        ("<p>is <span style='display:none'><math alttext=menu></math></span><img class=mwe-math-fallback-image aria-hidden=true alt='{\\displaystyle n^2}'>.", "is $n^2$."),
        ("<p>so <script type='math/tex'>a < b</script><script type=\"math/tex; mode=display\">\\int x</script><script>menu</script>", "so $a < b$$$\\int x$$"),
        ("<div><h2 id=a>Sub</h2><a href=#a><span>menu</span></a></div>See <a href=#a>Sub</a>", "## Sub\n\nSee Sub"),
        # tasks, done and open; a switch of the page is neither
        ("<ul><li><input type=checkbox disabled checked> a<li><label><input type=checkbox disabled></label> b<li><input type=checkbox disabled>c<li><input type=checkbox> d", "- [x] a\n- [ ] b\n- [ ] c\n- d"),
        # what is chosen from, with what it chooses
        ("<ul role=tablist><li role=tab>npm</li><li role=tab>Yarn</li></ul><div><div role=tabpanel>npm i</div><div role=tabpanel hidden>yarn add</div></div>", "npm\n\nnpm i\n\nYarn\n\nyarn add"),
        ("<div><input type=radio><input type=radio><div class=tabs><label>C</label><label>C++</label></div><div><div><pre>a</pre></div><div><pre>b</pre></div></div></div>", "C\n\n" + fenced("a") + "\n\nC++\n\n" + fenced("b")),
        ("<div class=tabs><input type=radio><label>npm</label><input type=radio><label>pnpm</label></div><div><div>npm add</div><div>pnpm add</div></div>", "npm\n\nnpm add\n\npnpm\n\npnpm add"),
        ("<div><label>one</label><label>two</label></div><p>x", "one two\n\nx"),
        ("<details><summary>More</summary>of it</details>", "More\n\nof it"),
        # the page's own contents are no content, beside it or in it; a list of other kind is
        ("<main><h1>T</h1><aside class=document-toc><h2>menu</h2><ul><li><a href=#a>menu a</a></ul></aside><ul class=table-of-contents><li><a href=#b>menu b</a></ul><p>The words of the page.", "# T\n\nThe words"),
        ("<div role=main>x<aside class=quote><div>bob:</div><blockquote>earlier</blockquote></aside><aside><a href=/y>linked</a></aside>", "> earlier\n\n[linked]"),
        ("<main><ul><li><a href=#a>func A(x int)</a></ul>", "- func A(x int)"),
        ("<main><header><h1>T</h1><ul><li><a href=/af>menu</a></ul></header><p>The words.", "# T\n\nThe words."),
        ("<p>a<video src=v>menu</video> b", "a b"),
        ("<h2>A<a class=headerlink href=#a title=Permalink>\u00b6</a></h2><h3>B <a href=#b>#</a></h3>", "## A\n\n### B"),
        ("<ol start=3><li>c<li>d<ul><li>e</ul></ol>", "3. c\n4. d\n   - e"),
        # notes in the article are read, what stands beside it is not
        ("<main><p>x<aside>Careful.</aside></main><aside>advert</aside><div role=navigation>menu</div>", "x\n\nCareful."),
        # of several articles none is the page
        ("<h1>Q</h1><article>long answer one</article><article>two</article>", "# Q\n\nlong answer one\n\ntwo"),
        # by its name it leads elsewhere, and by its text
        ("<div class=nav><a href=/a>menu</a> | <a href=/b>menu</a></div><div class=nav>1. Words, <a href=/c>one</a>", "1. Words, [one]"),
        ("<ul class='nav nav-tabs'><li>Words</ul><table class=navigation><tr><td><a href=/a><img alt=menu></a></table>", "- Words"),
        # where there is hardly anything else, it is the page
        ("<ul class=nav><li><a href=/a>One of them</a><li><a href=/b>Another one</a></ul>In", "- [One of them]"),
        # whatever else there is that is not read, and in how many parts
        ("<ul class=nav><li><a href=/a>One of them</a></ul><footer>menu, of many words, and of more</footer>", "- [One of them]"),
        ("<div class=nav><a href=/a>One of them</a></div><div class=nav><a href=/b>Another one</a></div>", "[Another one]"),
        # columns of a layout, too, are parted by gutters
        ("<div class=gutter><p>The words of the page.</div><table><tr><td class=gutter>1<td>x<td>y</table>", "The words of the page."),
        # slides, too, call what comes step by step a fragment
        ("<div class=fragment><p>First<p>Second</div>", "First\n\nSecond"),
        ("<div class=navheader>Chapter menu<a href=x>Next</a></div><p>x", "x"),
        ("<div id=header><h1>ls(1)</h1><h2>NAME</h2>ls - list</div><div id=content><h2>SYNOPSIS</h2>", "# ls(1)\n\n## NAME\n\nls - list\n\n## SYNOPSIS"),
        ("<div><h1><a href=/>menu</a></h1></div><div id=content><p>The words of the page.", "The words of the page."),
        ("<div id=content><ul><li>menu</ul><div id=apicontent><h2>API</h2>The words of the page.</div></div>", "## API\n\nThe words"),
        ("<div class='menu mainmenu'><ul><li><a href=/a>menu menu</a><li>Words</ul></div><p>The words of the page.", "The words of the page."),
        ("<dl><dt><strong>right</strong><span class=classifier>DataFrame</span><dd>Object.", "right : DataFrame\n:   Object."),
        ("<pre>x</pre><a class=test-arrow href=/play?menu>Run</a>", "x"),
        # of what is shown one at a time, all
        ("<div role=tabpanel>npm i</div><div role=tabpanel hidden>yarn add</div><div hidden>menu</div>"
         "<div role=tabpanel aria-hidden=true>pnpm add", "npm i\n\nyarn add\n\npnpm add"),
        ("<p><code>Field.</code><code>clean</code>(<em>v</em>) <code>a</code> <code>b</code>", "`Field.clean`(v) `a` `b`"),
        ("<p><code>a`</code><code>b</code> <tt>c</tt>", "`` a` ```b` `c`"),
        ("<h3><a name=x>Macro </a>foo <a id=y></a>\u00a7 <a name=z>\u00a7</a>1</h3>", "### Macro foo \u00a7 \u00a71"),
        ("<h2>Life<span class=mw-editsection>[<a href=/e>menu</a>]</span></h2>", "## Life"),
        ("<img alt='+'><img alt=Logo><img alt='a cat'>", "[image: a cat]"),
        ("<div>side side</div><div id=content><p>The words of the page.</div>", "The words of the page."),
        ("<base href='http://[q'><a href='http://[x'>bad</a> <a href=c>good</a>", "bad [good](https://docs.test/a/c)"),
        ("<base href='//cdn.test/x/'><a href='c d(e)'>l</a>", "[l](https://cdn.test/x/c%20d%28e%29)"),
        ("<a href=' JavaScript:x'>j</a> <a href='data:text/html,x'>d</a> <a href=mailto:a@b>m</a>", "j d m"),
        ("<p style='position:absolute;left:-9999px'>off</p><p style='font-size:0.9em'>on</p><p style='opacity:0.0'>no", "on"),
        ("<title>T</title><meta http-equiv=Refresh content='0; URL=en/'>", "This page leads on to <https://docs.test/a/en/>"),
        ("<meta name=description content='An app'><script>x</script><noscript>Enable</noscript><div id=root>", "An app\n\n(The"),
        ("<p>" + "<b>" * 300 + "deep" + "</b>" * 300 + " after", "deep"),
    ],
)  # fmt: skip
def test_pages_as_they_are_written(page: str, said: str) -> None:
    assert said in text(page).replace("*", "")
    assert "menu" not in text(page)
    assert "advert" not in text(page)


def test_stars_of_a_declaration_are_no_emphasis() -> None:
    page = "<dl><dt class='sig sig-object'>f(<em class=sig-param>a=1</em>, <em class=sig-param>*</em>, <em class=sig-param>b</em>)<dd>It"
    assert text(page) == "f(a=1, *, b)\n:   It"


def test_a_table_has_one_head_however_many_groups_of_rows_it_has() -> None:
    groups = "<tbody><tr><td>a<td>1<tbody><tr><td>b<td>2<tfoot><tr><td>sum<td>3</table>"
    rows = "| a | 1 |\n| b | 2 |\n| sum | 3 |"
    line = "| --- | --- |"
    assert text(f"<table><thead><tr><th>k<th>v{groups}") == f"| k | v |\n{line}\n{rows}"
    assert text(f"<table><tbody><tr><th>k<th>v{groups}") == f"| k | v |\n{line}\n{rows}"
    assert text(f"<table>{groups}") == f"|  |  |\n{line}\n{rows}"


def test_what_lies_beyond_the_limits_is_not_lost() -> None:
    found = readable(f"<h1>A</h1>{'<b>x</b> ' * 30_000}<p>the end</p>", ADDRESS)
    assert found.text.startswith("# A\n")
    assert found.text.endswith("\nthe end")
    # scripts do not count
    assert readable(f"<script>{'x' * 2_000_000}</script><p>words", ADDRESS).text == "words"
    # cut between tags, and never within one
    long = text(f"<h1>A</h1><p>{'x ' * 499_990}<b title='many words'>bold</b> <pre>the\n  end</pre>")
    assert long.startswith("# A\n")
    assert long.endswith("bold\nthe\n  end")
    assert "title" not in long
    assert text("x" * 1_500_000).replace("\n", "") == "x" * 1_500_000


MARKUP = (
    "<table> </table> <tr> <td> </td> <th> <td_colspan=x> <td_rowspan=-1> <thead> <tfoot> <caption> <pre> </pre> <code> <br> <li>"
    " <ul> </ul> <ol_start=-5> <li_value=x> <dl> <dt> <dd> <h1> <h9> <div_class=fragment> <div_class=line> <table_class=memname>"
    " <div_class='summary-table_two-column-summary'> <td_class=blob-code> <td_class=linenos> <div_role=table> <div_role=row>"
    " <div_role=cell> <ul_role=tablist> <b_role=tab> <div_role=tabpanel> <label> <math> </math> <msup> <mfrac> <mtable> <mtr>"
    " <annotation_encoding=tex> <script_type=math/tex> </script> <input_type=checkbox_disabled> <a_href=#> <a_href=//[x>"
    " <img_alt=x_class=math> <aside> <header> <main> <article> <!-- --> <![CDATA[ &#xD800; &#0; ` ``` | x 1 \0"
)


@given(st.lists(st.sampled_from(MARKUP.split()).map(lambda piece: piece.replace("_", " ")), max_size=30).map("".join))
def test_no_page_fails(page: str) -> None:
    assert isinstance(text(page), str)


def test_text_is_folded_and_otherwise_as_it_is() -> None:
    code = "a  \n\n\n\tb\x0c\n"
    assert folded(code) == code.strip("\n")
    words = "word " * 1000
    assert folded(words).replace("\n", " ") == words
    assert max(map(len, folded("x" * 5000).split("\n"))) == LINE


@pytest.mark.parametrize(
    "page",
    [
        "<script>" + "</script " * 100_000,
        "<br-a>" * 5_000 + "x",
        "<div>" * 100_000 + "x",
        "<a href=/x>y</a>" * 60_000,
        "<ol>" + "<li>y</li>" * 20_000,
        "<br>" * 19_000 + "<dialog>y</dialog>" * 19_000,
        "<div class=nav>" * 95 + "<b>x</b> y " * 19_000,
        "<div class='summary-table two-column-summary'>" * 95 + "<div>x</div>" * 19_000,
        "<div class=fragment>" * 95 + "<div class=line>x</div>" * 19_000,
        "<blockquote>" * 95 + "x\n" * 450_000,
        "<dl><dd>" * 45 + "x\n" * 450_000,
        "<table>" + "<tr><td colspan=1000>y" * 9_000,
        "<table>" + "<tr>" + "<td rowspan=9999 colspan=9999>y" * 900 + "<tr><td>x<td>y" * 9_000,
        "<table><tr><td>a<td>b" * 30 + "<table><tr><td>x<td>y</table>" * 9_000,
        "<pre>" * 95 + "x\n" * 400_000,
        "<ol start=" + "9" * 5000 + "><li>x<table><tr><td colspan=" + "9" * 5000 + ">x<h" + "9" * 5000 + ">y",
        "&#" + "9" * 900_000 + "; &#x" + "f" * 9_000,
        "<p>" + " " * 900_000 + "x",
        '<a x="<a" x="<a" ' * 60_000,
        "<a x='<a x=\"" * 90_000,
        "<a " + '="" ' * 200_000,
        "<title>" * 140_000,
        "<!--" * 249_999,
        "<a " + "=" * 900_000 + "/>",
        "<a " + "=x/" * 9_000 + "y>" * 9_000,
        "<math>" + "<annotation encoding=tex>x</annotation>" * 9_000,
        "<math>" * 95 + "<msup><mi>x</mi><mn>2</mn></msup>" * 9_000,
        "<script type=math/tex>" * 40_000,
        "<script type=math/tex>%" + " " * 800_000 + "</script>",
        "<table><caption>" + "<b>x</b>" * 9_500 + "</caption>" + "<tr><td>a<td>b" * 6_500,
        "<div role=tablist><b role=tab>" * 48 + "<b role=tab>x</b><i role=tabpanel>x</i>" * 9_000,
        "<header>" + "<ul>" * 95 + "<li><a href=/x>y</a> " * 13_000,
    ],
    ids=lambda page: page[:20],
)
def test_a_hostile_page_is_bounded(page: str) -> None:
    # each of these took minutes, gigabytes or raised before there were limits; now seconds
    found = readable(page, ADDRESS)

    assert len(found.text) < 20_000_000
