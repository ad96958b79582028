"""One contender of bench/host_peers.py in a process of its own: loads a model, then answers commands.

    peer_worker.py {ours | transformers | llama} MODEL

A command is a line of JSON on stdin, {"prompt": text, "tokens": n, "fresh": bool}; the answer is one on
stdout: seconds to the first token, seconds from there to the last, tokens, and the text. Decoding is
greedy. `fresh` forgets earlier prompts. Run by path, since llama-cpp-python may live elsewhere.
"""

import json
import sys
import time

ENDS = ("<|im_end|>", "<|endoftext|>")


def ours(folder):
    from pathlib import Path

    # The host's package comes before torch: it sets how threads wait for each other.
    from backtrail_model.host.generate import Counters, Lane, Task, torch
    from backtrail_model.host.load import load
    from backtrail_model.host.prefixes import Prefixes

    loaded = load(Path(folder))
    lane = Lane(loaded.model, Prefixes(256 << 20), Counters())
    vocabulary = loaded.tokenizer.get_vocab()
    stop_ids = frozenset(vocabulary[end] for end in ENDS)

    def tokens(text, limit, fresh):
        if fresh:
            lane.prefixes.clear()
        ids = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            for step in lane.generate(Task(ids, limit, stop_ids=stop_ids), lambda sample: True):
                for new in step:
                    yield from new.ids

    return tokens, loaded.tokenizer.decode


def transformers(folder):
    import queue
    import threading

    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.generation.streamers import BaseStreamer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    ends = [tokenizer.convert_tokens_to_ids(end) for end in ENDS]

    class Out(BaseStreamer):
        def __init__(self):
            self.queue, self.prompt = queue.Queue(), True

        def put(self, value):
            if not self.prompt:
                self.queue.put(int(value.reshape(-1)[-1]))
            self.prompt = False

        def end(self):
            self.queue.put(None)

    def tokens(text, limit, fresh):
        inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        out = Out()
        options = {"max_new_tokens": limit, "do_sample": False, "eos_token_id": ends, "streamer": out}
        thread = threading.Thread(target=lambda: model.generate(**inputs, **options))
        thread.start()
        while (token := out.queue.get()) is not None:
            if token not in ends:
                yield token
        thread.join()

    return tokens, tokenizer.decode


def llama(file):
    from llama_cpp import Llama

    model = Llama(file, n_ctx=4096, n_threads=2, n_threads_batch=2, verbose=False)
    ends = {model.tokenize(end.encode(), add_bos=False, special=True)[0] for end in ENDS}

    def tokens(text, limit, fresh):
        if fresh:
            model.reset()
        ids = model.tokenize(text.encode(), add_bos=False, special=True)
        # generate() goes on from the longest prefix that the last prompt shares.
        for count, token in enumerate(model.generate(ids, temp=0.0, repeat_penalty=1.0), 1):
            if token in ends:
                return
            yield token
            if count >= limit:
                return

    return tokens, lambda ids: model.detokenize(ids).decode("utf-8", "replace")


def timed(tokens, prompt, limit, fresh):
    started, first, last, got = time.perf_counter(), 0.0, 0.0, []
    for token in tokens(prompt, limit, fresh):
        last = time.perf_counter()
        first = first or last
        got.append(token)
    return first - started, last - first, got


def main():
    began = time.perf_counter()
    tokens, text_of = {"ours": ours, "transformers": transformers, "llama": llama}[sys.argv[1]](sys.argv[2])
    print(json.dumps({"loaded": time.perf_counter() - began}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        first, rest, got = timed(tokens, asked["prompt"], asked["tokens"], asked.get("fresh", True))
        answer = {"first": first, "rest": rest, "count": len(got), "text": text_of(got)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
