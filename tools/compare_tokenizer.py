#!/usr/bin/env python3
"""compare_tokenizer.py - do `edgewise tokenize` and llama.cpp give the same ids?

    LLAMA_CPP=/path/to/llama.cpp tools/compare_tokenizer.py build/release/edgewise MODEL.gguf...

LLAMA_CPP is a checkout with its libraries and programs in build/bin. Texts are made by a seeded
generator: code, emoji, CJK, Arabic, Thai, Devanagari, combining marks, long digits, runs of white
space, special tokens, broken UTF-8 replaced as Python's errors="replace" does. Each goes through
llama_tokenize, the function that llama-tokenize calls, by a small program compiled here, because
llama-tokenize would load the model once for each text; the first --binary texts go through
llama-tokenize itself as well. Exit status 1 when any id differs."""

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

DRIVER = r"""
#include "llama.h"
#include <stdio.h>
#include <stdlib.h>
static void quiet(enum ggml_log_level level, const char *text, void *user) {}
int main(int argc, char **argv)
{
    llama_log_set(quiet, NULL);
    struct llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    struct llama_model *model = llama_model_load_from_file(argv[1], params);
    if (!model)
        return 1;
    unsigned bytes, flags;
    while (scanf("%u %u", &bytes, &flags) == 2) {
        char *text = malloc(bytes + 1);
        int capacity = (int)bytes * 3 + 16, *ids = malloc(sizeof *ids * capacity);
        getchar();
        if (fread(text, 1, bytes, stdin) != bytes)
            return 1;
        int n = llama_tokenize(llama_model_get_vocab(model), text, (int)bytes, ids, capacity,
                               flags & 1, (flags & 2) != 0);
        if (n < 0)
            return 1;
        printf("[");
        for (int i = 0; i < n; i++)
            printf("%s%d", i ? "," : "", ids[i]);
        printf("]\n");
        free(text);
        free(ids);
    }
    return 0;
}
"""

WORDS = ("the of and to in is that it was for on are with as his they at be this have from or one "
         "had by word but not what all were we when your can said there use an each which she do "
         "how their if will up other about out many then them these so some her would make like "
         "him into time has look two more write go see number no way could people my than first "
         "water been call who oil its now find long down day did get come made may part").split()
CODE = ["def f(x):\n    return x**2\n", "if (a && b) { c += 1; } // note", "x = y ?? z;",
        "#include <stdio.h>\nint main(void)\n{\n\treturn 0;\n}\n", "SELECT * FROM t WHERE id=42;",
        "print(f'{x:>10.2f}')", "std::vector<std::pair<int,int>> v{{1,2}};", "a->b->c[0]=*p++;",
        "\t\tfor i in range(10):\n\t\t\tpass\n", '<div class="x">&nbsp;</div>', "λ x → x",
        '{"k": [1, 2.5e-10, null, true]}', "$HOME/.config", "0xDEADBEEF"]
EMOJI = ["😀", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👍🏽", "❤️", "🤷🏻‍♀️", "🎉🎉", "©️", "1️⃣", "🧑🏿‍💻"]
EUROPE = ["Straße", "naïve", "façade", "œuvre", "Ångström", "žluťoučký kůň", "Ελληνικά", "ﬁn",
          "Русский текст", "עִבְרִית", "ქართული", "Հայերեն", "İstanbul", "Việt Nam", "Ǆ", "K"]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<bos>", "<eos>", "<unk>", "<pad>",
           "<start_of_turn>", "<end_of_turn>", "<unused7>", "<unused77>", "<unused7", "</s>",
           "<s>", "<h1>", "</table>", "<tool_call>", "</tool_call>", "<file_sep>", "<mask>",
           "<|fim_prefix|>", "<|file_sep|>", "[multimodal]", "<0x41>", "[PAD151665]", "▁",
           "<repo_name>", "<reponame>", "<|im_<|im_end|>"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\n ", "\u00a0", "\u3000", "\u2028",
          "\u200b", "\x0b", "\x0c", "\x85", "\u1680", "    \n    "]
MARKS = "!?.,;:-_()[]{}\"'`~@#$%^&*+=|\\/<>…—–“”‘’«»。、！？"


def texts(count, seed):
    r = random.Random(seed)

    def run(points, most):
        return "".join(chr(r.choice(points)) for _ in range(r.randint(1, most)))

    def spaces():
        return r.choice(SPACES + [" " * r.randint(1, 40), "\n" * r.randint(1, 40),
                                  "\t" * r.randint(1, 35)])

    def any_char():
        low, high = r.choice([(1, 0x7f), (0x80, 0x7ff), (0x800, 0xd7ff), (0xe000, 0xffff),
                              (0x10000, 0x10ffff)])
        return chr(r.randint(low, high))

    thai = [*range(0xe01, 0xe3a), *range(0xe40, 0xe5b)]
    kinds = [
        lambda: run(range(0x4e00, 0xa000), 12),
        lambda: run(range(0x3041, 0x30ff), 12),
        lambda: run(range(0xac00, 0xd7a4), 8),
        lambda: run(range(0x621, 0x64b), 10) + r.choice(["", " ", "ً", "١٢٣"]),
        lambda: run(thai, 12),
        lambda: run(range(0x904, 0x970), 10),
        lambda: r.choice(EMOJI),
        lambda: "".join(r.choice("aeioun") + chr(r.randint(0x300, 0x36f))
                        for _ in range(r.randint(1, 5))),
        lambda: run(range(0x30, 0x3a), 30) + r.choice(["", "", "٣", "Ⅷ", "½", "²", ".5", "%"]),
        spaces, spaces,
        lambda: "".join(r.choice(MARKS) for _ in range(r.randint(1, 8))),
        lambda: r.choice(WORDS) + r.choice(["'s", "'S", "'re", "'LL", "'d", "'ve", "'t", "'x",
                                            "’s", "'ſ"]),
        lambda: "".join(any_char() for _ in range(r.randint(1, 8))),
        lambda: r.randbytes(r.randint(1, 12)).decode("utf-8", "replace").replace("\0", "x"),
        lambda: r.choice(SPECIAL),
        lambda: " ".join(r.choice(WORDS) for _ in range(r.randint(1, 12))),
        lambda: " ".join(r.choice(WORDS) for _ in range(r.randint(1, 12))),
        lambda: r.choice(EUROPE),
        lambda: r.choice(["a", "ab", "xyz", "中", "я", "="]) * r.randint(5, 80),
        lambda: r.choice(WORDS).upper() + r.choice(WORDS).title(),
        lambda: r.choice(CODE),
    ]
    made = ["", " ", "  ", "\n", "a", "é", "'", " \n", "\ufeffx", "a\r", "   a", "a   "]
    while len(made) < count:
        made.append("".join(r.choice(kinds)() + r.choice(["", " ", "", " ", spaces()])
                            for _ in range(r.randint(1, 14))))
    return [text.encode() for text in made[:count]]


def build_driver(llama, folder):
    source, program = os.path.join(folder, "ids.c"), os.path.join(folder, "ids")
    with open(source, "w", encoding="utf-8") as file:
        file.write(DRIVER)
    lib = os.path.join(llama, "build/bin")
    subprocess.run(["cc", "-O1", f"-I{llama}/include", f"-I{llama}/ggml/include", source, "-o",
                    program, f"-L{lib}", "-lllama", "-lggml", "-lggml-base", f"-Wl,-rpath,{lib}"],
                   check=True)
    return program


def theirs(driver, model, wanted, flags):
    frames = b"".join(b"%d %d\n" % (len(text), flags) + text for text in wanted)
    out = subprocess.run([driver, model], input=frames, stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def program_ids(llama, model, text, flags, folder):
    path = os.path.join(folder, "text")
    with open(path, "wb") as file:
        file.write(text)
    command = [os.path.join(llama, "build/bin/llama-tokenize"), "-m", model, "-f", path, "--ids",
               "--no-escape", "--log-disable"]
    command += [] if flags & 1 else ["--no-bos"]
    command += [] if flags & 2 else ["--no-parse-special"]
    out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(out.stdout.splitlines()[-1])


def ours(edgewise, model, text, flags):
    command = [edgewise, "tokenize", "--ids"] + ["--bos"] * (flags & 1)
    command += ["--special"] * (flags >> 1 & 1) + [model]
    return json.loads(subprocess.run(command, input=text, stdout=subprocess.PIPE,
                                     check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description="edgewise's ids against llama.cpp's")
    parser.add_argument("edgewise")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--binary", type=int, default=20)
    args = parser.parse_args()
    llama = os.environ.get("LLAMA_CPP")
    if not llama:
        sys.exit("compare_tokenizer.py: LLAMA_CPP must be a built checkout of llama.cpp")
    wanted, differ = texts(args.texts, args.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        driver = build_driver(llama, folder)
        for model in args.models:
            for flags, name in ((1, "with bos"), (3, "with bos and special")):
                expected = theirs(driver, model, wanted, flags)
                got = [ours(args.edgewise, model, text, flags) for text in wanted]
                wrong = [i for i in range(len(wanted)) if got[i] != expected[i]]
                direct = [i for i in range(min(args.binary, len(wanted))) if wanted[i] and
                          program_ids(llama, model, wanted[-i], flags, folder) != got[-i]]
                print(f"{os.path.basename(model)} {name}: {len(wanted) - len(wrong)} of "
                      f"{len(wanted)} equal; by llama-tokenize itself {len(direct)} differ of "
                      f"{min(args.binary, len(wanted))}")
                for i in wrong[:3]:
                    print(f"  {wanted[i]!r}\n    ours   {got[i]}\n    theirs {expected[i]}")
                differ += len(wrong) + len(direct)
    sys.exit(1 if differ else 0)


main()
