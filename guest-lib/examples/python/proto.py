# A proto-function: what it makes is there in every call, without being made again. So is what the
# file's top level makes; it runs once, too.
#
# run: mobula run proto.py
# expect: 9592 primes below 100000
# expect: between 0 and 25000: 2762
# expect: between 25000 and 50000: 2371
# expect: between 50000 and 75000: 2260
# expect: between 75000 and 100000: 2199
# exit: 0
import bisect

import mobula

LIMIT, PARTS = 100_000, 4
primes = []


@mobula.proto
def sieve():
    # It may run again, on another host: it has to leave the same.
    is_prime = bytearray([1]) * LIMIT
    is_prime[:2] = 0, 0
    for n in range(2, int(LIMIT**0.5) + 1):
        if is_prime[n]:
            is_prime[n * n :: n] = bytes(len(range(n * n, LIMIT, n)))
    primes[:] = [n for n in range(LIMIT) if is_prime[n]]


@mobula.func
def count(lo, hi):
    return bisect.bisect_left(primes, hi) - bisect.bisect_left(primes, lo)


@mobula.main
def main():
    print(len(primes), "primes below", LIMIT)
    ends = [LIMIT * part // PARTS for part in range(PARTS + 1)]
    calls = [(lo, hi, count.chain(lo, hi)) for lo, hi in zip(ends, ends[1:])]
    for lo, hi, call in calls:
        print(f"between {lo} and {hi}: {call.wait()}")


if __name__ == "__main__":
    mobula.run()
