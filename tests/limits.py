"""For schemathesis (SCHEMATHESIS_HOOKS): a limit above the maximum is not refused, as the OGC has it.

"If the value of the limit parameter is larger than the maximum value, this SHALL NOT result in an error" (OGC API -
Features part 1, 7.15.3); nor may the schema be without the maximum. That it is lowered is tested elsewhere.
"""

from typing import Any

import schemathesis

#: Of a service that is not told otherwise.
MAXIMUM = 10_000


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    try:
        return int((case.query or {})["limit"]) <= MAXIMUM
    except (KeyError, TypeError, ValueError):
        return True
