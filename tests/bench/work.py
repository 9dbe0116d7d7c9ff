"""Python that allocates: `python3 work.py STEPS`. JSON there and back, and lists, dictionaries and texts that come and
go; about 330,000 allocations and frees a step where each object is one (PYTHONMALLOC=malloc)."""
import json
import sys


def documents(count):
    return [{'id': i, 'name': f'document {i}', 'tags': [f'tag {i % 7}', f'kind {i % 11}'], 'score': i / 3,
             'parts': {'a': [i, i + 1, i + 2], 'b': {'text': 'x' * (i % 50)}}} for i in range(count)]


def churn(count):
    words = {}
    for i in range(count):
        words.setdefault(f'word {i * 7919 % 997}', []).append((i, str(i)))
    return min((len(places), word) for word, places in words.items())


def step():
    found = json.loads(json.dumps(documents(1500)))
    return len(found) + len(churn(4000))


def main():
    for _ in range(int(sys.argv[1])):
        step()


main()
