"""lm_eval_client.py - lm-eval with its model local-chat-completions: 20 word problems.

Those of gsm8k's test set where EDGEWISE_DATA has it, else data/questions.jsonl of this repository.
Nothing is fetched: the task (lm_eval_task.yaml) reads a file, and the hub is said to be offline.
The score is a small model's, and low; that all are asked, answered and scored is what is checked,
and that the answers are those of a client that asks the same by itself."""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

import openai

from checks import check, main, same, server

COUNT, AT_ONCE = 20, 8
HERE = os.path.dirname(os.path.abspath(__file__))
OURS = os.path.join(HERE, "../../data/questions.jsonl")


def problems():
    """The lines of the first 20, and where they are from."""
    data = os.path.join(os.environ.get("EDGEWISE_DATA", ""), "gsm8k/test.jsonl")
    path, name = (data, "gsm8k") if os.path.exists(data) else (OURS, "data/questions.jsonl")
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()[:COUNT], name


def evaluate(folder):
    """Runs lm-eval in the folder; its results, and a row for each problem."""
    with open(os.path.join(folder, "problems.jsonl"), "w", encoding="utf-8") as file:
        file.write("\n".join(problems()[0]) + "\n")
    os.mkdir(os.path.join(folder, "tasks"))
    shutil.copy(os.path.join(HERE, "lm_eval_task.yaml"), os.path.join(folder, "tasks"))
    where = f"base_url={server.v1}/chat/completions,num_concurrent={AT_ONCE},max_retries=1"
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", "run", "--model", "local-chat-completions",
         "--model_args", f"model={server.model},{where}", "--tasks", "edgewise_problems",
         "--include_path", "tasks", "--apply_chat_template", "--output_path", "out",
         "--log_samples"],
        cwd=folder, text=True, timeout=500, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        env=os.environ | {"OPENAI_API_KEY": server.key, "HF_HOME": os.path.join(folder, "hub"),
                          "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
                          "HF_EVALUATE_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    assert done.returncode == 0, f"lm-eval ended with {done.returncode}: {done.stdout[-2000:]}"
    with open(glob.glob(f"{folder}/out/**/results_*.json", recursive=True)[0],
              encoding="utf-8") as file:
        results = json.load(file)
    with open(glob.glob(f"{folder}/out/**/samples_*.jsonl", recursive=True)[0],
              encoding="utf-8") as file:
        rows = sorted(map(json.loads, file), key=lambda row: row["doc_id"])
    return results["results"]["edgewise_problems"], rows


def by_hand(row):
    """The answer to a row's question, asked by the openai client."""
    client = openai.OpenAI(base_url=server.v1, api_key=server.key)
    asked, more = row["arguments"]["gen_args_0"].values()
    reply = client.chat.completions.create(
        model=server.model, messages=json.loads(asked[0]), temperature=0, stop=more["until"],
        max_tokens=more["max_gen_toks"])
    return reply.choices[0].message.content


@check(f"local-chat-completions: {COUNT} problems are asked, answered and scored")
def local_chat_completions():
    with tempfile.TemporaryDirectory(prefix="edgewise-lm-eval-") as folder:
        scores, rows = evaluate(folder)
    answers = [row["resps"][0][0] for row in rows]
    same(len(answers), COUNT, "the number of answers")
    assert all(answers), f"{answers.count('')} answers are empty"
    for row in rows[:3]:
        same(row["resps"][0][0], by_hand(row), f"the answer to problem {row['doc_id']}")
    right = sum(row["exact_match"] for row in rows)
    same(scores["exact_match,last-number"], right / COUNT, "the score")
    return [problems()[1], f"{right:g} of {COUNT}", answers]


main()
