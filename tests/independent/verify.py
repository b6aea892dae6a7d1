#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checks what lienthong proves, without a line of lienthong: written from the specifications alone.

  verify.py note KEYS NOTES                heads: c2sp.org/signed-note, c2sp.org/tlog-checkpoint
  verify.py consistency KEYS OLD NEW       each note in NEW is followed by the hashes of RFC 9162, 2.1.4
  verify.py proof FILE FINGERPRINT         proto/PROTOCOL.md, "Proof"; RFC 9162, 2.1.3

KEYS has a key a line. FINGERPRINT is that of the topmost office, for proofs, as somebody told it who knows it. The
last prints the leaf hash of the record (proto/PROTOCOL.md, "Merkle tree"), and who vouches for it: each of these
offices can speak for all below it.

Ed25519 is that of RFC 8032, 5.1, with Python's integers: slow, and easy to hold against the text.
"""
import base64
import hashlib
import re
import sys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)


class Bad(Exception):
    pass


def need(truth, what):
    if not truth:
        raise Bad(what)


# Ed25519: points in extended coordinates (X, Y, Z, T), x = X/Z, y = Y/Z, xy = T/Z

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(n, p):
    result = (0, 1, 1, 0)
    while n:
        if n & 1:
            result = add(result, p)
        p = add(p, p)
        n >>= 1
    return result


def equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def decode_point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    need(y < P, "a point is not in its one encoding")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_MINUS_1 % P
    need((x * x - square) % P == 0, "not a point of the curve")
    need(x or not sign, "a point is not in its one encoding")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519(key, message, signature):
    need(len(key) == 32 and len(signature) == 64, "a key or a signature of another length")
    point, r = decode_point(key), decode_point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    need(s < L, "a signature is not in its one form")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    need(equal(multiply(s, BASE), add(r, multiply(k, point))), "a signature does not fit")


# RFC 9162

def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def leaf_of(leaf):
    """proto/PROTOCOL.md, "Merkle tree": of a record, or of its reach and hash where it is withheld."""
    if isinstance(leaf, list):
        reach, record_hash = leaf
    else:
        kind, _ = msgpack(leaf, 1)
        reach, record_hash = (0 if kind < 128 else 1 if kind < 192 else 2), hashlib.sha256(leaf).digest()
    return leaf_hash(bytes([reach]) + record_hash)


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def inclusion(index, size, leaf, path, root):
    need(index < size, "an index beyond the tree")
    fn, sn, r = index, size - 1, leaf
    for p in path:
        need(sn != 0, "a path that is too long")
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and r == root, "a leaf is not in the tree")


def consistency(first, second, old_root, new_root, path):
    need(0 < first <= second, "sizes that cannot follow one another")
    if first == second:
        need(not path and old_root == new_root, "two trees of one size")
        return
    if first & (first - 1) == 0:
        path = [old_root] + path
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    need(path, "no hashes")
    fr = sr = path[0]
    for c in path[1:]:
        need(sn != 0, "a proof that is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and fr == old_root and sr == new_root, "the log did not only grow")


# Notes

def read_vkeys(text):
    """Hash and key by name."""
    return {name: key for name, *key in map(read_vkey, text.split())}


def read_vkey(text):
    name, key_hash, key = text.split("+", 2)
    key = base64.b64decode(key, validate=True)
    need(key[0] == 1 and len(key) == 33, "not an Ed25519 key")
    want = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    need(bytes.fromhex(key_hash) == want, "a key's hash does not fit")
    return name, want, key[1:]


def read_note(text, keys):
    """Name, size and root of the checkpoint that @text begins with, which one of @keys signed; and what follows."""
    body, rest = text.split("\n\n", 1)
    body += "\n"
    signature, _, rest = rest.partition("\n")
    match = re.fullmatch("\u2014 (\\S+) (\\S+)", signature)
    need(match and match[1] in keys, "not signed under a name of which there is a key")
    key_hash, key = keys[match[1]]
    blob = base64.b64decode(match[2], validate=True)
    need(blob[:4] == key_hash, "signed by another key of that name")
    ed25519(key, body.encode(), blob[4:])
    origin, size, root = body.rstrip("\n").split("\n")
    need(origin == match[1] and re.fullmatch("0|[1-9][0-9]*", size), "not a checkpoint")
    return origin, int(size), base64.b64decode(root, validate=True), rest


def read_notes(text, keys):
    """All of them, by name: size, root, and the hashes that follow it."""
    notes = {}
    while text.strip():
        name, size, root, text = read_note(text.lstrip("\n"), keys)
        lines, _, text = text.partition("\n\n") if not text.startswith("\n") else ("", "", text)
        need(name not in notes, "two notes of one name")
        notes[name] = size, root, [base64.b64decode(line, validate=True) for line in lines.split()]
    need(notes, "no note")
    return notes


# Proofs

DEPTH_MAX = 8


def msgpack(data, at=0, depth=0):
    """The value at @at, and where it ends: only what PROTOCOL.md has."""
    b = data[at]
    if b < 0x80:
        return b, at + 1
    if b & 0xf0 == 0x90 or b == 0xdc:
        need(depth < DEPTH_MAX, "arrays too deep in each other")
        n, at = (b & 15, at + 1) if b != 0xdc else (int.from_bytes(data[at + 1:at + 3], "big"), at + 3)
        items = []
        for _ in range(n):
            item, at = msgpack(data, at, depth + 1)
            items.append(item)
        return items, at
    if b & 0xe0 == 0xa0:
        return data[at + 1:at + 1 + (b & 31)].decode(), at + 1 + (b & 31)
    if b in (0xcc, 0xcd, 0xce, 0xcf):
        n = 1 << (b - 0xcc)
        return int.from_bytes(data[at + 1:at + 1 + n], "big"), at + 1 + n
    if b in (0xc4, 0xc5, 0xd9, 0xda):
        width = 1 if b in (0xc4, 0xd9) else 2
        n = int.from_bytes(data[at + 1:at + 1 + width], "big")
        value = bytes(data[at + 1 + width:at + 1 + width + n])
        need(len(value) == n, "cut short")
        return (value if b < 0xd0 else value.decode()), at + 1 + width + n
    if b in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[b], at + 1
    raise Bad("a byte that no value begins with")


OFFICE_KIND, REVOKED = 192, 3


def spaced(fingerprint):
    return " ".join(fingerprint[i:i + 4] for i in range(0, len(fingerprint), 4))


class Office:
    """Who an office record says somebody is; of the topmost only the id and the key are known."""

    def __init__(self, id, key, parent=None, code=0, digits=0, name=None, state=None, end=None):
        self.id, self.key, self.parent, self.state, self.end = id, key, parent, state, end
        self.label = "the topmost office" if name is None else "%0*d %s" % (digits, code, name)

    def __str__(self):
        label = "".join(c if c.isprintable() else "?" for c in self.label)
        return "%s (%s)%s" % (label, self.id.hex(), ", revoked" if self.end is not None else "")


def read_office(leaf):
    need(isinstance(leaf, bytes), "a hash where a record says who an office is")
    (kind, _id, _time, _organisation, _audience, body, *_more), end = msgpack(leaf)
    need(kind == OFFICE_KIND and end == len(leaf), "not a record of an office")
    id, parent, _level, code, digits, name, key, _curve_key, _valid_from, state, *more = body
    ended = more and isinstance(more[0], list)
    return Office(id, key, parent, code, digits, name, state, more[0] if ended else None)


def check_end(office, epoch, lane, size):
    if office.end is not None:
        last, *sizes = office.end
        need(epoch < last or (epoch == last and size <= sizes[lane]), "beyond the end of a revoked office")


def check_proof(data, fingerprint):
    """The record's leaf, and the offices from the topmost down to the record's."""
    (version, links, root_id, sign_key, curve_key), end = msgpack(data)
    need(version == 1 and end == len(data), "not a proof of this version")
    found = hashlib.sha256(root_id + sign_key + curve_key).hexdigest()[:20]
    need(re.sub("[ :-]", "", fingerprint).lower() == found, "its topmost office has the fingerprint " + spaced(found))
    chain, below = [Office(root_id, sign_key)], None
    for n, link in reversed(list(enumerate(links))):
        office, epoch, lane, index, leaf, path, size, root, signature = link
        if below and office == below.id:
            chain, below = chain + [below], None
        writer = chain[-1]
        need(office == writer.id and (n > 0 or not below), "the chain is broken")
        origin = "lienthong/%s/%d/%d" % (office.hex(), epoch, lane)
        text = "%s\n%d\n%s\n" % (origin, size, base64.b64encode(root).decode())
        ed25519(writer.key, text.encode(), signature)
        inclusion(index, size, leaf_of(leaf), path, root)
        check_end(writer, epoch, lane, size)
        if n == 0:
            return leaf, chain
        said = read_office(leaf)
        if said.id == writer.id:
            need(said.end is not None, "an office that says its own key, and no end of the one before")
            need(said.end[0] == epoch or (said.end[0] < epoch and index == 0 and said.key == writer.key),
                 "another key that does not begin in the life that it ends")
            need(lane == 0 and (said.end[0] < epoch or said.end[1] == index + 1),
                 "another key that does not begin behind the record that says it")
            writer.key = said.key
            continue
        need(said.parent == writer.id, "an office that another one than its parent names")
        need((said.end is not None) == (said.state == REVOKED), "an end without a revocation, or the reverse")
        if below:
            need(said.id == below.id and below.end is None, "an office of which nothing comes")
            said.key = below.key
        need(all(said.id != above.id for above in chain), "an office below itself")
        below = said
    raise Bad("no link")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main(command, *args):
    if command == "note":
        for name, (size, _root, _path) in read_notes(read(args[1]), read_vkeys(read(args[0]))).items():
            print(name, size)
    elif command == "consistency":
        keys = read_vkeys(read(args[0]))
        old = read_notes(read(args[1]), keys)
        for name, (size, root, path) in read_notes(read(args[2]), keys).items():
            need(name in old, "no older note of that name")
            consistency(old[name][0], size, old[name][1], root, path)
            print(name, old[name][0], size)
    elif command == "proof":
        with open(args[0], "rb") as file:
            leaf, chain = check_proof(file.read(), " ".join(args[1:]))
        print("leaf hash", leaf_of(leaf).hex())
        print("kept by", chain[-1])
        for office in reversed(chain[:-1]):
            print("enrolled by", office)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        main(*sys.argv[1:])
    except Exception as error:  # a value of another type is no better than one that does not fit
        print("not verified:", error, file=sys.stderr)
        raise SystemExit(1)
