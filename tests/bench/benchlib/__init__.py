"""What tests/bench/bench is made of: tools.py (what is measured), measure.py (how), table.py (how it is told), and one
file for each section, with ABOUT, measure(plan) -> figures, and show(figures)."""
