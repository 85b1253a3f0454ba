"""Keep the decoders' remarks about odd files out of the program's own warnings."""

import re
import warnings


def ignore_warnings_of(package: str) -> None:
    """Ignore `UserWarning`s that the code of `package` gives, in this process.

    Called before each decode: `warnings.catch_warnings` swaps the filters of the whole process
    and is not safe in threads, while adding one filter once is. What a remark hides is seen
    anyway: a file that cannot be decoded raises.
    """
    pattern = re.compile(rf"{re.escape(package)}(\..*)?\Z")
    if ("ignore", None, UserWarning, pattern, 0) not in warnings.filters:
        warnings.filterwarnings("ignore", category=UserWarning, module=pattern.pattern)
