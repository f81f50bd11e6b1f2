"""Which share of the traffic so many copies get, where every copy gets as much as any other. Pure."""


def nearest_share(share: float, replicas: int) -> tuple[int, float]:
    """How many canary copies beside `replicas` stable ones come nearest to a share, and what they give."""
    exact = share * replicas / (1 - share)
    copies = min((max(1, int(exact)), max(1, int(exact) + 1)), key=lambda c: abs(c / (replicas + c) - share))
    return copies, copies / (replicas + copies)


def percent(share: float, digits: int = 1) -> str:
    """`10 %`, `33.3 %`."""
    text = f"{share * 100:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"
