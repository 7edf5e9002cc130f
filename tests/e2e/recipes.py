"""recipes - the texts of conf/recipes as a test runs them.

Nothing is changed in one but the places that a test cannot have (ports below 1024, folders of the system), which it has
to name.
"""
import os
import re

import daemon

RECIPES = os.path.join(daemon.TOP, "conf", "recipes")


def recipe(name, to=None):
    """The text of a recipe, with the places in to moved."""
    with open(os.path.join(RECIPES, name), encoding="utf-8") as f:
        return moved(f.read(), to or {})


def moved(text, places):
    """The text with each place, which it has to name, replaced by another; the longest first."""
    for old in sorted(places, key=len, reverse=True):
        assert old in text, "the recipe does not name " + old
        text = text.replace(old, str(places[old]))
    return text


def taken_in(text, *options):
    """The text with these commented-out options in force; all of them when none is named."""
    wanted = "|".join(map(re.escape, options)) or r"\w"
    found = re.subn(r"(?m)^(\s*)#(?=(?:%s))" % wanted, r"\1", text)
    assert found[1] >= max(1, len(options)), options
    return found[0]


def blocks(name):
    """The indented blocks of a Markdown recipe: what one copies."""
    with open(os.path.join(RECIPES, name), encoding="utf-8") as f:
        return [re.sub("(?m)^    ", "", b) for b in re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", f.read(), re.M)]
