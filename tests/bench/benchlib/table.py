"""Numbers and Markdown tables."""


def number(value, digits=0):
    return '–' if value is None else f'{value:,.{digits}f}'


def ratio(a, b):
    """How many times b is in a, as 3.1 or 1/3.1; nothing where one of them is lost in noise."""
    if a is None or b is None or min(a, b) <= 0:
        return '–'
    return f'{a / b:.1f}' if a >= b else f'1/{b / a:.1f}'


def size(value):
    """Bytes as MiB."""
    return '–' if value is None else f'{value / (1 << 20):,.1f}'


def time(ns):
    """Nanoseconds, in a unit in which they are short."""
    for unit, length in (('ns', 1), ('µs', 1e3), ('ms', 1e6), ('s', 1e9)):
        if ns < 1000 * length or unit == 's':
            return f'{ns / length:,.{0 if ns < 10 or ns >= 100 * length else 1}f} {unit}'


def print_table(head, rows):
    print('| ' + ' | '.join(head) + ' |')
    print('|' + '---|' * len(head))
    for row in rows:
        print('| ' + ' | '.join(str(cell) for cell in row) + ' |')
    print(flush=True)
