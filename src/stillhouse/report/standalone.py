"""A figure of the page as a file of its own, for a document."""

import re
from importlib.resources import files


def standalone(svg: str) -> str:
    """An inline <svg> as an SVG file: the page's light colours and its font, on a ground of their own."""
    style = files("stillhouse.report").joinpath("page.css.j2").read_text(encoding="utf-8")
    light = style[style.index(":root") : style.index("@media")]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    svg = re.sub(r"var\(--([\w-]+)\)", lambda m: colours[m[1]], svg)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" font-family="Helvetica, Arial, sans-serif" fill="{colours["ink"]}"'
    ground = f'<rect width="100%" height="100%" fill="{colours["card"]}"/>'
    return re.sub(r"<svg([^>]*)>", lambda m: f"{head}{m[1]}>{ground}", svg, count=1) + "\n"
