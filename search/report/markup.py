"""HTML and SVG elements in which every text is escaped unless it is markup already."""

from html import escape

__all__ = ["EMPTY", "Markup", "element", "joined"]

VOID = {"br", "hr", "img", "meta", "link"}
"""Elements of HTML that have neither content nor an end."""

Attribute = str | float | None


class Markup(str):
    """Text that is markup already, made by `element` or `joined`."""

    __slots__ = ()


EMPTY = Markup("")


def element(name: str, /, *content: str, **attributes: Attribute) -> Markup:
    """Return an element.

    Args:
        name: Its name.
        content: What is in it; whatever is not `Markup` is a text and is escaped.
        attributes: Its attributes, with underscores for dashes and none at the end, as in ``class_``; those
            that are None are left out, and numbers have at most two decimals.

    >>> element("p", "a < b", class_="small", title=None)
    '<p class="small">a &lt; b</p>'
    >>> element("circle", cx=1.0, r=2.345, stroke_width=1)
    '<circle cx="1" r="2.35" stroke-width="1"></circle>'
    """
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{named}>")
    return Markup(f"<{name}{named}>{joined(*content)}</{name}>")


def joined(*content: str) -> Markup:
    """Return texts and markup one after the other.

    >>> joined("1 < 2", element("b", "!"))
    '1 &lt; 2<b>!</b>'
    """
    return Markup("".join(one if isinstance(one, Markup) else escape(one) for one in content))


def _attribute(value: str | float) -> str:
    if isinstance(value, str):
        return escape(value)
    shown = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown
