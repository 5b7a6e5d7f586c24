"""Values for packets, for hypothesis."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

properties = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Number of examples; `python -m tests.fuzz` runs many more. No deadline, because machines may be busy."""

MAX_ACK_ID = 10**15 - 1

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Any Unicode text without lone surrogates, including U+001E."""

scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text
)


def json_values(leaves: st.SearchStrategy[object] = scalars) -> st.SearchStrategy[object]:
    """JSON values of any shape, without dicts that look like placeholders."""
    keys = text.filter(lambda key: key != "_placeholder")
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=8,
    )


values = json_values()
values_with_binaries = json_values(scalars | st.binary(max_size=20))
ack_ids = st.integers(0, MAX_ACK_ID)
namespaces = st.just("/") | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=",?"), min_size=1, max_size=12
).map(lambda name: "/" + name)
event_names = text.filter(
    lambda name: name not in {"connect", "connect_error", "disconnect", "disconnecting", "newListener"}
)
