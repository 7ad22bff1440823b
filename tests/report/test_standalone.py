from xml.etree import ElementTree

from stillhouse.report.diversity import Root, roots_plot, similarity_plot
from stillhouse.report.kitchen import Grown
from stillhouse.report.standalone import standalone


def test_a_figure_stands_alone() -> None:
    for figure in (similarity_plot([Grown("a", 0.3)]), roots_plot([Root("write", "story")] * 3)):
        svg = standalone(figure)
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in svg and 'fill="#1f2126"' in svg and svg == standalone(figure)
