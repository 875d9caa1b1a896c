#!/usr/bin/env python3
"""Writes tokenizer-cases.c: texts and the ids that llama.cpp's llama-tokenize gives for them with SmolLM2's vocabulary.

usage: make-tokenizer-cases.py LLAMA_TOKENIZE MODEL.gguf > tokenizer-cases.c

The first cases come from tests/data/smollm2-reference.json, whose ids were made with another implementation; the tool checks
that llama-tokenize agrees.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = os.path.join(HERE, '..', 'data', 'smollm2-reference.json')

TEXTS = [
    # white space
    ' ', '  ', '   ', '\n', '\n\n', '\t', '\t\t', '\r', '\r\n\r\n', ' \n', '\n ', ' \t \n \t ', 'a ', ' a', 'a  ', '  a',
    'a\n\nb', 'a \n b', 'a\t\tb', 'one  two   three    four     five', 'trailing newline\n', 'trailing spaces   \n\n   next',
    'line\r\nline\r\n\r\nline', 'old mac\rline\r\rline', 'tab\tseparated\tvalues\t\tend', '\u00a0', 'a\u00a0\u00a0b', 'a\u2003b\u3000c',
    'next\u0085line', 'para\u2029graph \u2028 line', 'vt\x0bff\x0cend', '   \u00a0   x',
    # digits
    '0', '7', '42', '2024', '1 2 3', '12 345', '1a2b3c', 'a1', '1.5e-10', '0x1F', '٣٤ ١', '①②③', '½ ¾', 'Ⅷ XII', '10²', ' 1', '  1', '1  ', '\n1\n',
    '9 9', 'v2.0.1-rc3', '2024-02-29T23:59:60Z', '+1 (555) 010-9999',
    # contractions and quotes
    "I'm", "you're", "we've", "they'll", "he'd", "it's", "can't", "CAN'T", "I'M", "You'Re", "'tis", "rock 'n' roll", "''s", "'s", " 's", "'", "''",
    "d'accord l'eau", "don\u2019t", '"quoted"', '\u201cquoted\u201d', "'ll've'd", "o'clock's",
    # punctuation and symbols
    '!', '!!!', '...', '. . .', '?!?!', '(a)', '[b]{c}<d>', '#hashtag @user', '$100 €50 £20 ¥5', 'a+b=c', 'a/b\\c|d', '~`^_', '--- *** ===', '™®©', '→←↑↓', '∑∫√∞', '§ 5 ¶ 6',
    # code
    'int main(void) { return 0; }\n', 'for (i = 0; i < n; i++)\n\tx[i] += y[i];\n', 'def f(a, *b, **c):\n        return {**c, "a": a}\n',
    'SELECT * FROM t WHERE x >= 10 AND y != \'z\';', '<div class="x">a &amp; b</div>', '{"k": [1, 2.5, null, true]}', '#!/bin/sh\nset -e\n',
    'fn main() -> Result<(), Box<dyn Error>> { Ok(()) }', '    if x:\n        y\n    else:\n        z\n', '/* c */ // d', 'https://user@host:8080/p/a/t/h?q=1#f',
    'a\\n\\t\\"b', 'C:\\Users\\x\\file.txt', 'camelCaseIdentifier snake_case_identifier SCREAMING_CASE', '\\begin{equation} e^{i\\pi} + 1 = 0 \\end{equation}',
    # languages
    'Le café où l\'élève naïf bâtit son œuvre coûta 3 €.', 'Füße, Größe, Übermaß und Straße', 'El niño comió piñas en España', 'Zażółć gęślą jaźń', 'Příliš žluťoučký kůň', 'İstanbul ığdır',
    'Съешь же ещё этих мягких французских булок', 'Ξεσκεπάζω την ψυχοφθόρα βδελυγμία', 'שלום עולם', 'مرحبا بالعالم، كيف حالك؟', 'السَّلامُ عَلَيْكُمْ', 'नमस्ते दुनिया', 'สวัสดีชาวโลก', 'வணக்கம் உலகம்', 'გამარჯობა',
    '你好，世界！', '我能吞下玻璃而不伤身体。', '私はガラスを食べられます。', '나는 유리를 먹을 수 있어요.', 'Tiếng Việt có dấu', 'ภาษาไทย 123', '中文English混合123テスト',
    # emoji, joiners, combining
    '😀', '😀😀', 'a😀b', '👨‍👩‍👧‍👦', '👍🏽', '🏳️‍🌈', '🇫🇷🇩🇪', '☃️❄', 'e\u0301', 'Z͑ͫ̓ͪ̂ͫ̽͏̴̙', '\u200b', 'a\u200db', '\ufeffBOM', '\ufffd', '𝔘𝔫𝔦𝔠𝔬𝔡𝔢', '𓀀𓁐', '\U0001f9d1\u200d\U0001f4bb', '\ue000', '\U000e0001',
    # long words
    'a' * 100, 'ab' * 64, 'supercalifragilisticexpialidocious', 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft', '=' * 77, ' ' * 33, '\n' * 17, 'Aa' * 9 + ' ' * 9 + '1' * 9, 'é' * 40, '中' * 40,
    # special tokens
    '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
    'a<|endoftext|>b', '<|im_start|><|im_start|>', ' <|im_end|> ', '<|im_end', '<|im_end|', '<<|im_end|>>', '<|IM_END|>', '<repo_name>x<file_sep>y', '1<|im_end|>1',
    # control characters, of which the vocabulary lacks some
    '\x01\x02\x03', 'a\x04b', '\x1b[31mred\x1b[0m', '\x7f', 'zero\x00byte', '\x00', '\x00\x00 \x00',
]

RANGES = [(0x20, 0x7e), (0x20, 0x40), (0x9, 0xd), (0xa0, 0x24f), (0x300, 0x36f), (0x370, 0x52f), (0x5d0, 0x6ff), (0x900, 0xdff),
          (0x2000, 0x206f), (0x20a0, 0x2bff), (0x3000, 0x30ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0x1f300, 0x1faff)]


def random_text(rng):
    """Words from different scripts. Only characters of Unicode 10 at most, so that no implementation is too old for them."""
    out = []
    while len(out) < 120:
        low, high = rng.choice(RANGES)
        for _ in range(rng.randint(1, 6)):
            c = chr(rng.randint(low, high))
            if unicodedata.ucd_3_2_0.category(c) not in ('Cn', 'Cs'):
                out.append(c)
    return ''.join(out)


def literal(data):
    """A C string literal: what is printable stays, everything else is octal."""
    out = []
    for c in data.decode():
        if c in '"\\?':
            out.append('\\' + c)
        elif c.isprintable() and not unicodedata.combining(c) and unicodedata.category(c)[0] != 'M' and unicodedata.bidirectional(c) not in ('R', 'AL', 'AN'):
            out.append(c)
        else:
            out += ['\\%03o' % b for b in c.encode()]
    return '"' + ''.join(out) + '"'


def tokenize(tool, model, data, parse_special):
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        extra = [] if parse_special else ['--no-parse-special']
        done = subprocess.run([tool, '-m', model, '-f', f.name, '--ids', '--no-bos', '--no-escape', '--log-disable'] + extra,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout)


def main():
    tool, model = sys.argv[1:3]
    with open(REFERENCE) as f:
        reference = json.load(f)
    cases = []
    # The reference keeps the first 127 ids of its passage, behind a first id that it put there by hand.
    for text, ids in [(reference['text'], reference['ids'][1:])] + [(c['s'], c['ids']) for c in reference['tokenize']]:
        data = text.encode()
        made = tokenize(tool, model, data, True)
        if made[:len(ids)] != ids or (len(made) > len(ids) and len(ids) != 127):
            sys.exit('llama-tokenize disagrees with the reference on %r' % text)
        cases.append((data, True, made))
    rng = random.Random(1)
    for text in TEXTS + [random_text(rng) for _ in range(24)]:
        data = text.encode()
        cases.append((data, True, tokenize(tool, model, data, True)))
        if '<' in text:
            cases.append((data, False, tokenize(tool, model, data, False)))

    print('/* Made by make-tokenizer-cases.py with llama-tokenize and SmolLM2-135M-Instruct; do not edit. */')
    print('#include "tests/support/tokenizer-cases.h"\n')
    print('#define CASE(text, special, ...) { text, sizeof (text) - 1, special, (const gint32[]) { __VA_ARGS__ }, \\')
    print('    sizeof ((const gint32[]) { __VA_ARGS__ }) / sizeof (gint32) }\n')
    print('/* *INDENT-OFF* */')
    print('const StTokenizerCase st_tokenizer_cases[] = {')
    for data, special, ids in cases:
        if ids:
            print('  CASE (%s, %s,\n    %s),' % (literal(data), 'TRUE' if special else 'FALSE', ', '.join(map(str, ids))))
        else:
            print('  { %s, %d, %s, NULL, 0 },' % (literal(data), len(data), 'TRUE' if special else 'FALSE'))
    print('};')
    print('/* *INDENT-ON* */\n')
    print('const gsize st_tokenizer_n_cases = G_N_ELEMENTS (st_tokenizer_cases);')


if __name__ == '__main__':
    main()
