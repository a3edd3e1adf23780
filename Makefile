# edgewise - one plain GNU makefile; `make help` tells what it does.
MODE   ?= release
PREFIX ?= /usr/local
CC     ?= gcc
B      := build/$(MODE)

DEBS := build-essential pkg-config libjansson-dev libcyaml-dev libcurl4-openssl-dev libssl-dev \
        libarchive-dev libedit-dev libcmocka-dev zlib1g-dev python3 python3-numpy \
        python3-jinja2 ca-certificates
PKGS := jansson libcyaml libcurl libcrypto libarchive libedit

WARN   := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
          -Wformat=2 -Werror
OPT_release := -O2
OPT_debug   := -O0
OPT_asan    := -O1 -fsanitize=address -DEW_SANITIZED
OPT_ubsan   := -O1 -fsanitize=undefined -fno-sanitize-recover=all -DEW_SANITIZED
OPT_tsan    := -O1 -fsanitize=thread -DEW_SANITIZED
CFLAGS  += -std=c17 -D_GNU_SOURCE $(OPT_$(MODE)) -g -fno-omit-frame-pointer -ffp-contract=off $(WARN)
CPPFLAGS += -Iinclude -Isrc -MMD -MP
LDFLAGS += $(filter -fsanitize%,$(OPT_$(MODE))) -pthread
LIBS     = $(shell pkg-config --libs $(PKGS)) -lm

# The suffix of a file is its instruction set; nothing is ever built for the machine we happen on.
ISA_avx2       := -mavx2 -mfma -mf16c
ISA_avx512vnni := -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
ARCH := $(shell $(CC) -dumpmachine | cut -d- -f1)
ISA_DIR := $(if $(filter x86_64,$(ARCH)),x86)

ENGINE_SRC := $(wildcard src/base/*.c src/kernels/*.c $(if $(ISA_DIR),src/kernels/$(ISA_DIR)/*.c) \
                src/model/*.c src/engine/*.c)
APP_SRC    := $(filter-out src/main.c,$(wildcard src/*/*.c))
APP_SRC    := $(filter-out $(ENGINE_SRC),$(APP_SRC))
TEST_SRC   := $(wildcard tests/unit/test_*.c)
obj = $(patsubst %.c,$(B)/%.o,$(1))

all: $(B)/edgewise

$(B)/libedgewise.a: $(call obj,$(ENGINE_SRC))
$(B)/libapp.a: $(call obj,$(APP_SRC))
$(B)/%.a:
	@echo "  AR    $@"; rm -f $@; ar rcs $@ $^

$(B)/edgewise: $(call obj,src/main.c) $(B)/libapp.a $(B)/libedgewise.a
	@echo "  LD    $@"; $(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D); echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(foreach i,avx2 avx512vnni,$(if $(filter %_$(i),$*),$(ISA_$(i)))) -c -o $@ $<

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(B)/libapp.a $(B)/libedgewise.a
	@echo "  LD    $@"; $(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)

TESTS := $(patsubst %.c,$(B)/%,$(TEST_SRC))
check: $(B)/edgewise $(TESTS)
	@for t in $(TESTS); do $$t || exit 1; done

clean:
	rm -rf build

.PHONY: all check clean
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
