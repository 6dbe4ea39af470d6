"""Markdown as PDF: read by markdown-it, written anew in Typst's markup with all text quoted, set by Typst.

Nothing of the text reaches Typst as its language: it is handed over as strings. Typst runs in this process with an
empty directory as its root, and fetches nothing.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from cerebro.spine.errors import Invalid

MARKDOWN_BYTES_MAX = 512 << 10
PREAMBLE = """#set page(paper: "a4", margin: (x: 2.2cm, y: 2.4cm), numbering: "1 / 1")
#set text(size: 10pt, font: ("New Computer Modern", "Libertinus Serif"), hyphenate: true)
#set par(justify: false, leading: 0.6em)
#set table(stroke: 0.4pt + luma(190), inset: 5pt)
#show heading: set block(above: 1.4em, below: 0.7em)
#show raw: set text(size: 8pt)
#show link: underline
"""
SCHEMES = ("http://", "https://", "/", "mailto:")


def to_pdf(markdown: str) -> bytes:
    """The PDF.

    Raises:
        Invalid: The text is longer than `MARKDOWN_BYTES_MAX`, or something in it cannot be set.
    """
    import typst  # noqa: PLC0415  34 MB, which only this needs

    if len(markdown.encode()) > MARKDOWN_BYTES_MAX:
        raise Invalid("The post-mortem is too long to be set.", "Keep it under 512 KiB.")
    with tempfile.TemporaryDirectory() as root:
        source = Path(root) / "post-mortem.typ"
        source.write_text(to_typst(markdown))
        try:
            made = typst.compile(str(source), root=root, ignore_system_fonts=True)
        except typst.TypstError as error:
            said = str(error).splitlines()[0][:200]
            raise Invalid(
                f"The post-mortem cannot be set: {said}", "Take it as Markdown, or shorten its links."
            ) from error
    assert isinstance(made, bytes)  # of one document, by the binding's own word
    return made


def to_typst(markdown: str) -> str:
    """The same text in Typst's markup."""
    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(markdown)
    return PREAMBLE + "".join(_blocks(tokens))


def quoted(text: str) -> str:
    r"""A string of Typst's.

    >>> quoted('a "b" \\ #c')
    '"a \\"b\\" \\\\ #c"'
    """
    kept = "".join(letter for letter in text if letter.isprintable() or letter == "\n")
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:  # noqa: PLR0912  one line a token
    for place, token in enumerate(tokens):
        match token.type:
            case "heading_open":
                yield f"\n#heading(level: {token.tag[1:]})["
            case "heading_close" | "blockquote_close" | "list_item_close":
                yield "]\n" if token.type != "list_item_close" else "],"
            case "paragraph_open":
                yield "" if token.hidden else "\n#par["
            case "paragraph_close":
                yield "" if token.hidden else "]\n"
            case "bullet_list_open":
                yield "\n#list("
            case "ordered_list_open":
                yield f"\n#enum(start: {int(token.attrGet('start') or 1)}, "
            case "bullet_list_close" | "ordered_list_close":
                yield ")\n"
            case "list_item_open":
                yield "["
            case "blockquote_open":
                yield "\n#quote(block: true)["
            case "code_block" | "fence":
                yield f"\n#raw(block: true, {quoted(token.content.rstrip())})\n"
            case "hr":
                yield "\n#line(length: 100%, stroke: 0.4pt + luma(190))\n"
            case "table_open":
                yield f"\n#table(columns: {_columns(tokens, place)}, "
            case "table_close":
                yield ")\n"
            case "th_open":
                yield "[#strong["
            case "th_close":
                yield "]],"
            case "td_open":
                yield "["
            case "td_close":
                yield "],"
            case "inline":
                yield "".join(_inline(token.children or ()))


def _columns(tokens: Sequence[Token], start: int) -> int:
    """How many cells the first row of the table has."""
    count = 0
    for token in tokens[start:]:
        if token.type == "tr_close":
            break
        count += token.type in ("th_open", "td_open")
    return max(count, 1)


def _inline(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        match token.type:
            case "text":
                yield f"#text({quoted(token.content)})"
            case "code_inline":
                yield f"#raw({quoted(token.content)})"
            case "strong_open":
                yield "#strong["
            case "em_open":
                yield "#emph["
            case "link_open":
                address = str(token.attrGet("href") or "")
                yield f"#link({quoted(address)})[" if address.startswith(SCHEMES) else "#box["
            case "strong_close" | "em_close" | "link_close":
                yield "]"
            case "softbreak":
                yield " "
            case "hardbreak":
                yield "#linebreak()"
            case "image":
                yield f"#text({quoted(token.content)})"
