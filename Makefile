# edgewise - one plain GNU makefile; `make help` tells what it does.
MODE   ?= release
PREFIX ?= /usr/local
CC     ?= gcc
JOBS   ?= 2
VERSION := 0.1.0
B      := build/$(MODE)

# Debian packages: what is linked, what the tests need, what the demo needs.
DEBS := build-essential pkg-config libjansson-dev libcyaml-dev libcurl4-openssl-dev libssl-dev \
        libarchive-dev libedit-dev libsqlite3-dev libevent-dev zlib1g-dev libcmocka-dev \
        python3 python3-numpy python3-jinja2 openssl curl \
        ca-certificates nghttp2-server
PKGS := jansson libcyaml libcurl libssl libcrypto libarchive libedit libevent_openssl libevent sqlite3

WARN := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
        -Wformat=2 -Werror
OPT_release := -O2
OPT_debug   := -O0
OPT_asan    := -O1 -fsanitize=address -DEW_SANITIZED
OPT_ubsan   := -O1 -fsanitize=undefined -fno-sanitize-recover=all -DEW_SANITIZED
OPT_tsan    := -O1 -fsanitize=thread -DEW_SANITIZED
OPT_fuzz    := -O1 -fsanitize=address,undefined,fuzzer-no-link -DEW_SANITIZED
OPT := $(or $(OPT_$(MODE)),$(error MODE is release, debug, asan, ubsan or tsan, not '$(MODE)'))
CFLAGS   += -std=c17 -D_GNU_SOURCE $(OPT) -g -fno-omit-frame-pointer -ffp-contract=off $(WARN) \
            $(if $(filter fuzz,$(MODE)),-Wno-error)
CPPFLAGS += -Iinclude -Isrc $(if $(filter tests/%,$<),-Itests) -MMD -MP -DEW_VERSION='"$(VERSION)"'
LDFLAGS  += $(filter -fsanitize%,$(OPT)) -pthread

# Nothing may fail here when gcc and pkg-config aren't there yet: `make deps` reads this file too.
HAVE := $(shell pkg-config --exists $(PKGS) 2>/dev/null && echo yes)
NEED  = $(if $(HAVE),,$(error libraries are missing; 'make deps' installs them))
LIBS  = $(NEED)$(shell pkg-config --libs $(PKGS)) -lm

# The suffix of a file is its instruction set; nothing is ever built for the machine we happen on.
ISA_avx2       := -mavx2 -mfma -mf16c
ISA_avx512     := $(ISA_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl
ISA_avx512vnni := $(ISA_avx512) -mavx512vnni
ISA_neon       :=
ISA_dotprod    := -march=armv8.2-a+dotprod
ISA_i8mm       := -march=armv8.6-a+i8mm
isa = $(ISA_$(lastword $(subst _, ,$(basename $(notdir $(1))))))
ARCH    := $(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1)
ISA_DIR := $(if $(filter x86_64,$(ARCH)),x86)$(if $(filter aarch64,$(ARCH)),arm)

ENGINE_SRC := $(wildcard src/base/*.c src/kernels/*.c $(ISA_DIR:%=src/kernels/%/*.c) \
                src/model/*.c src/engine/*.c)
APP_SRC    := $(filter-out $(ENGINE_SRC) src/main.c,$(wildcard src/*/*.c))
KCHECK_SRC := $(wildcard tests/kcheck/*.c)
HELPER_SRC := $(wildcard tests/support/*.c)
TESTS  := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c tests/fault/test_*.c))
DRIVERS := $(patsubst %.c,$(B)/%,$(wildcard tests/reference/*_driver.c))
KCHECK := $(if $(KCHECK_SRC),$(B)/tests/kcheck/kcheck)
SOURCES := $(wildcard include/*.h src/*.[ch] src/*/*.[ch] src/*/*/*.[ch] tests/*/*.[ch] tools/*.[ch])
obj = $(patsubst %.c,$(B)/%.o,$(1))

all: $(B)/edgewise $(B)/libedgewise.a

$(B)/libedgewise.a: $(call obj,$(ENGINE_SRC))
$(B)/libapp.a: $(call obj,$(APP_SRC)) $(B)/embedded.o
$(B)/%.a:
	@echo "  AR    $@"; rm -f $@; ar rcs $@ $^

$(B)/edgewise: $(call obj,src/main.c) $(B)/libapp.a $(B)/libedgewise.a
	@echo "  LD    $@"; $(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(call obj,$(APP_SRC)): CPPFLAGS += $(NEED)$(shell pkg-config --cflags $(PKGS))

# The data files travel inside the binary; the tool that makes C of them runs on this machine.
HOSTCC ?= cc
DATA   := $(sort $(wildcard data/*.yaml data/*.csv data/*/*.yaml))
build/tools/embed: tools/embed.c
	@mkdir -p $(@D); echo "  CC    $<"; $(HOSTCC) -O1 -o $@ $<
$(B)/embedded.c: build/tools/embed $(DATA) $(wildcard data data/*/)
	@mkdir -p $(@D); $< $(DATA) >$@.new && mv $@.new $@
$(B)/embedded.o: $(B)/embedded.c
	@echo "  CC    $<"; $(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D); echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(call isa,$<) -c -o $@ $<

# ---- tests ----

$(TESTS): $(B)/%: $(B)/%.o $(call obj,$(HELPER_SRC)) $(B)/libapp.a $(B)/libedgewise.a
	@echo "  LD    $@"; $(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(LIBS)

# The example in the public header, built as it stands there; and since all of the library is
# linked with libm and pthread alone, what it needs beyond them would show.
EXAMPLE := $(B)/tests/usage_example
$(EXAMPLE).c: include/edgewise.h tools/usage_example.sh
	@mkdir -p $(@D); tools/usage_example.sh $< >$@.new && mv $@.new $@
$(EXAMPLE): $(EXAMPLE).c $(B)/libedgewise.a
	@echo "  LD    $@"; $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--whole-archive \
	    $(B)/libedgewise.a -Wl,--no-whole-archive -lm

# A fuzzer's entry, replayed by the unit test of its name, or driven by clang's libFuzzer.
$(B)/tests/unit/test_fuzz_gguf: $(B)/tests/fuzz/fuzz_gguf.o
$(B)/tests/unit/test_fuzz_template: $(B)/tests/fuzz/fuzz_template.o
$(B)/tests/unit/test_fuzz_http: $(B)/tests/fuzz/fuzz_http.o
$(B)/tests/fuzz/fuzz_http: $(call obj,src/net/http_parse.c src/net/http_head.c)
$(B)/tests/unit/test_fuzz_answer: $(B)/tests/fuzz/fuzz_answer.o
$(B)/tests/fuzz/fuzz_answer: $(call obj,src/net/http_parse.c src/net/http_head.c src/net/events.c)
$(B)/tests/unit/test_fuzz_wire: $(B)/tests/fuzz/fuzz_wire.o
$(B)/tests/unit/test_fuzz_dialect: $(B)/tests/fuzz/fuzz_dialect.o
$(B)/tests/fuzz/fuzz_wire $(B)/tests/fuzz/fuzz_dialect: FUZZ_LIBS := -ljansson
$(B)/tests/fuzz/fuzz_wire $(B)/tests/fuzz/fuzz_dialect: $(call obj,$(wildcard src/api/*.c) src/flow/usage.c)
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(call obj,$(HELPER_SRC)) $(B)/libedgewise.a
	@echo "  LD    $@"; $(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(filter %.a,$^) $(FUZZ_LIBS) -lm

FUZZ         ?= gguf
FUZZ_SECONDS ?= 60
fuzz: $(B)/tests/unit/test_fuzz_$(FUZZ)
	@$(MAKE) --no-print-directory MODE=fuzz CC=clang-14 build/fuzz/tests/fuzz/fuzz_$(FUZZ)
	@mkdir -p build/fuzz/corpus/$(FUZZ); $< --corpus build/fuzz/corpus/$(FUZZ)
	build/fuzz/tests/fuzz/fuzz_$(FUZZ) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 \
	    -max_len=65536 -artifact_prefix=build/fuzz/ build/fuzz/corpus/$(FUZZ)

$(B)/tests/kcheck/kcheck: $(call obj,$(KCHECK_SRC)) $(B)/libedgewise.a
	@echo "  LD    $@"; $(CC) $(LDFLAGS) -o $@ $^ -lm

# What a script of tests/reference drives.
$(B)/tests/reference/%: $(B)/tests/reference/%.o $(B)/libedgewise.a
	@echo "  LD    $@"; $(CC) $(LDFLAGS) -o $@ $^ -lm

# The tool that judges the tree is itself built plainly, whatever the mode.
build/tools/tidy: tools/tidy.c
	@mkdir -p $(@D); echo "  CC    $<"; $(CC) -std=c17 -D_GNU_SOURCE -O1 -g $(WARN) -o $@ $<

# What `make peers ONLY=front` asks, and asks with.
PEERS_TOOLS := build/tools/peers_stub build/tools/peers_load
$(PEERS_TOOLS): build/tools/%: tools/%.c
	@mkdir -p $(@D); echo "  CC    $<"; $(CC) -std=c17 -D_GNU_SOURCE -O2 -g $(WARN) -o $@ $<

# First the packages, then a make that sees them.
check: deps
	@$(MAKE) --no-print-directory check-now
check-now: all $(TESTS) $(DRIVERS) $(KCHECK) $(EXAMPLE) build/tools/tidy $(PEERS_TOOLS)
	@tests/support/model.sh $(B)/edgewise >/dev/null || true
	@MODE=$(MODE) CC="$(CC)" JOBS=$(JOBS) tests/run.sh $(B) $(TESTS) $(KCHECK)
bless: all
	@MODE=$(MODE) tests/run.sh --bless $(B)
badfiles: $(B)/tests/unit/test_bad_files
	$< --table >docs/BAD_FILES.md.new && mv docs/BAD_FILES.md.new docs/BAD_FILES.md
# Not part of check: needs gcc-aarch64-linux-gnu and qemu-user.
check-arm: $(B)/tests/reference/logits_driver
	@$(MAKE) --no-print-directory B=build/arm CC=aarch64-linux-gnu-gcc \
	    LDFLAGS='-static -pthread' build/arm/tests/reference/logits_driver
	@python3 tests/arm/same_bits.py $< build/arm/tests/reference/logits_driver qemu-aarch64
kcheck: $(KCHECK)
	$(KCHECK)
kbench: $(KCHECK)
	$(KCHECK) --bench
tidy: build/tools/tidy
	@build/tools/tidy && tools/format.sh --check $(SOURCES)
fmt:
	@tools/format.sh --write $(SOURCES)

# ---- the rest ----

# Asks dpkg first, so that a second `make deps` touches neither the network nor root.
deps:
	@missing=; for p in $(DEBS); do \
	    dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok installed' || \
	    missing="$$missing $$p"; done; \
	[ -z "$$missing" ] && exit 0; echo "installing:$$missing"; \
	[ "$$(id -u)" = 0 ] && as= || as=sudo; export DEBIAN_FRONTEND=noninteractive; \
	$$as apt-get -qq update && $$as apt-get -qq install -y --no-install-recommends $$missing

demo: deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tools/demo.sh $(B)/edgewise
# Needs PyPI: the official clients, of pinned versions, against the real server; with FRONT=1 through
# a front before it, too.
compat: all
	@tests/compat/run.sh $(if $(FRONT),--front) $(B)/edgewise $(ONLY)
# The faults of docs/FAULTS.md, done to the server; what they gave becomes the page.
faults: all
	@MODE=$(MODE) tests/fault/page.sh >docs/FAULTS.md.new && mv docs/FAULTS.md.new docs/FAULTS.md
# A mixed load for so long, or so many short requests: make soak MODE=tsan SECONDS=120
SECONDS ?= 120
soak: all
	@models=$$(tests/support/model.sh $(B)/edgewise) && python=$$(tests/support/python.sh) && \
	    $$python tests/fault/soak.py $(B)/edgewise $$models/smollm2-135m.gguf \
	    $(if $(SHORT),--short $(SHORT),--seconds $(SECONDS))
peers: all $(PEERS_TOOLS)
	@tools/peers.sh $(B)/edgewise $(PEERS)

install: all
	install -Dm755 $(B)/edgewise $(DESTDIR)$(PREFIX)/bin/edgewise
	install -Dm644 $(B)/libedgewise.a $(DESTDIR)$(PREFIX)/lib/libedgewise.a
	install -Dm644 include/edgewise.h $(DESTDIR)$(PREFIX)/include/edgewise.h
	install -Dm644 docs/edgewise.1 $(DESTDIR)$(PREFIX)/share/man/man1/edgewise.1
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|' dist/edgewise.service \
	    >$(DESTDIR)$(PREFIX)/lib/systemd/system/edgewise.service
	for f in $(DATA:data/%=%) edgewise.schema.json; do \
	    install -Dm644 data/$$f $(DESTDIR)$(PREFIX)/share/edgewise/$$f || exit 1; done
uninstall:
	cd $(DESTDIR)$(PREFIX) && rm -rf bin/edgewise lib/libedgewise.a include/edgewise.h \
	    share/man/man1/edgewise.1 share/edgewise lib/systemd/system/edgewise.service

clean:
	rm -rf build

help:
	@echo "make            build $(B)/edgewise (MODE=release, debug, asan, ubsan, tsan: side by side)"
	@echo "make deps       install the Debian packages it needs, if any is missing"
	@echo "make demo       from nothing to an answered question, with what it cost"
	@echo "make check      all tests; ends with 'N passed, N failed' (JOBS=N at a time)"
	@echo "make check-arm  the scalar engine built for aarch64, under qemu: the same bits as here"
	@echo "make kcheck     kernels of every instruction set against the reference; kbench: their speed"
	@echo "make tidy       layers, lengths, banned calls, formatting;  make fmt: format"
	@echo "make bless      rewrite the golden files from what the program says now"
	@echo "make fuzz       FUZZ=gguf, template, http, answer or wire for FUZZ_SECONDS=60 under libFuzzer (clang-14)"
	@echo "make badfiles   rewrite docs/BAD_FILES.md from what bad files are told now"
	@echo "make compat     official clients (openai, litellm, ollama …; PyPI) against the server; FRONT=1"
	@echo "make faults     rewrite docs/FAULTS.md from what faults do to the server now"
	@echo "make soak       mixed load on the server for SECONDS=120, or SHORT=20000 short requests"
	@echo "make peers      speed beside llama.cpp, llama-server, nginx, LiteLLM (docs/PEERS.md;"
	@echo "                ONLY=engine, serve or front)"
	@echo "make install    PREFIX=$(PREFIX), DESTDIR=;  make uninstall, make clean"

.PHONY: all check check-now check-arm bless badfiles fuzz kcheck kbench tidy fmt deps demo peers install uninstall clean help compat faults soak
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
