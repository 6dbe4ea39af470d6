"""What a refused query may tell."""

from cerebro.kernel.telemetry.confine import without_values
from cerebro.spine.errors import Invalid


def test_a_value_that_a_function_failed_on_is_not_told():
    """It may come from the dictionary of a part, which holds other tenants' values too."""
    said = "The store refused: Cannot parse string 'secret' as UInt64: while executing 'FUNCTION'. (CANNOT_PARSE_TEXT)"

    told = without_values(Invalid(said))

    assert "secret" not in str(told)
    assert "CANNOT_PARSE_TEXT" in told.detail


def test_what_is_wrong_with_the_words_is_told():
    """A syntax error names its place."""
    error = Invalid("The store refused: Syntax error: failed at position 35")

    assert without_values(error) is error
