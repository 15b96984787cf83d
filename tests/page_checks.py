"""What a person needs of every page: controls and texts that are seen, controls that are hit, and
nothing cut off.
"""

from functools import cache

import pytest

from tests.cards.npm import bundled
from tests.npm import missing
from tests.playwright_names import Frame, Page

_LOOK = """
() => {
  const { Color, flattenColors, getContrast } = axe.commons.color;
  const parse = (text) => {
    const color = new Color();
    color.parseString(text);
    return color;
  };
  const contrast = (color, below) => getContrast(below, flattenColors(color, below));
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.alpha === 1) return color;
    }
    return parse("white");
  };
  const found = [];
  const shown = [...document.body.querySelectorAll("*")].filter((node) => node.checkVisibility());
  for (const node of shown) {
    const style = getComputedStyle(node), label = `${node.tagName} #${node.id} .${node.className}`;
    const hasEdge = node.matches("button, .button, input, select, textarea, meter, progress");
    for (const side of ["Top", "Right", "Bottom", "Left"]) {
      const color = parse(style[`border${side}Color`]);
      const isThin = !parseFloat(style[`border${side}Width`]);
      const isNone = style[`border${side}Style`] === "none" || isThin || !color.alpha;
      if (isNone || !hasEdge) continue;
      const ratio = contrast(color, ground(node.parentElement));
      if (ratio < 3) found.push(`${label}: border ${side} ${ratio.toFixed(2)}`);
    }
    const box = node.getBoundingClientRect();
    const isControl = node.matches(
      "button, summary, a.button, nav a, select, textarea, "
        + "input:not([type=checkbox], [type=radio], [type=hidden])"
    );
    if (isControl && (box.height < 44 || (box.width < 44 && !node.matches("summary")))) {
      found.push(`${label}: ${box.width} x ${box.height}`);
    }
    const hides = ["hidden", "clip"].includes(style.overflowX);
    const isCut = hides && node.scrollWidth > node.clientWidth + 1;
    if (isCut && !node.matches(".unseen")) found.push(`${label}: cut off`);
    if (node.matches("svg *") && style.stroke.includes("(") && parseFloat(style.strokeWidth)) {
      const ratio = contrast(parse(style.stroke), ground(node.closest("svg").parentElement));
      if (ratio < 3 && !node.matches(".track, .sign *")) {
        found.push(`${label}: stroke ${ratio.toFixed(2)}`);
      }
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) {
    const isOut = (node) => node.getBoundingClientRect().right > innerWidth;
    const wide = shown.filter((node) => isOut(node) && !node.closest(".wide"));
    const last = wide.map((node) => node.outerHTML.slice(0, 80)).slice(-2);
    found.push(`wider than its frame: ${last}`);
  }
  return found;
}
"""


_AXE = (
    "axe.run().then((found) => found.violations.map((rule) => `${rule.id}: "
    "${rule.nodes.map((node) => node.html)}`))"
)
"""All rules of axe-core: WCAG 2.2 A and AA, and best practices."""


async def hard_to_use(page: Page | Frame, *, axe: bool = True) -> list[str]:
    """What is hard to see or to press: what axe-core reports, such as a text with too little
    contrast; the edges of controls with a contrast below 3:1, controls below 44 px, and what is cut
    off or wider than the page. Lines that only separate may be fainter.

    Without `axe`, the rest.
    """
    if await page.evaluate("!window.axe"):
        await page.evaluate(f"{_axe()}; 0")
    return [*await page.evaluate(_LOOK), *(await page.evaluate(_AXE) if axe else ())]


@cache
def _axe() -> str:
    if reason := missing():
        pytest.skip(reason)
    return (bundled() / "axe.min.js").read_text(encoding="utf-8")
