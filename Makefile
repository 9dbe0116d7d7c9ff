# memtap: see README.md. `make help` lists the targets.
#
#   make DEBUG=1     -O0 and assertions          make SAN=address,undefined   an analyzer with sanitizers, under build/
#   make V=1         show the commands

VERSION  := 0.1.0
PREFIX   ?= /usr/local
DESTDIR  ?=
CC       ?= gcc
BUILD    ?= build$(if $(SAN),/$(subst $(comma),-,$(SAN)))
comma    := ,
Q        := $(if $(V),,@)

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla -Werror
OPTIMIZE := $(if $(DEBUG),-O0,-O2)
COMMON   := -std=gnu11 -D_GNU_SOURCE -g $(OPTIMIZE) $(WARNINGS) -Iinclude -MMD -MP -DMEMTAP_VERSION='"$(VERSION)"'

# The tap must not depend on anything of the target: initial-exec TLS, no stack protector calls, nothing but libc.
TAP_FLAGS := $(COMMON) -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-stack-protector -U_FORTIFY_SOURCE
TAP_LINK  := -shared -Wl,--version-script=preload/exports.map,-z,now,-z,relro,-z,nodelete,--no-undefined,--hash-style=gnu,--build-id

# The analyzer runs on jemalloc: many small blocks, freed in bulk.
ANALYZER_LIBS  := -pthread -ldw -lelf -liberty -lzstd -ljansson -lm
ANALYZER_ALLOC := $(if $(SAN),,-ljemalloc)
ANALYZER_FLAGS := $(COMMON) -Ianalyzer -DINSTALL_PREFIX='"$(PREFIX)"' $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
ANALYZER_LINK  := $(if $(SAN),-fsanitize=$(SAN)) -Wl,-z,relro,-z,now

TAP_SOURCES      := $(filter-out preload/hook_jemalloc.c,$(wildcard preload/*.c))
TAP_OBJECTS      := $(TAP_SOURCES:%.c=build/%.o)
JE_OBJECTS       := $(addprefix build/preload-je/,hook_jemalloc.o real.o sys.o text.o)
ANALYZER_SOURCES := $(wildcard analyzer/*.c analyzer/*/*.c)
ANALYZER_OBJECTS := $(ANALYZER_SOURCES:%.c=$(BUILD)/%.o)
ANALYZER         := $(if $(SAN),$(BUILD)/)memtap
ANALYZER_ROOMS   := $(filter-out $(BUILD)/analyzer/main.o,$(ANALYZER_OBJECTS))

.DELETE_ON_ERROR:
.PHONY: all help man install clean lint format

all: libmemtap.so libmemtap-je.so $(ANALYZER) ## build the tap and the analyzer

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

libmemtap.so: $(TAP_OBJECTS)
	@echo "  LINK    $@"
	$(Q)$(CC) $(TAP_LINK) -Wl,-soname,$@ $^ -o $@

# Compares every stack with a fresh walk: see preload/unwind_check.h; make check-unwinding.
build/check/%.o: preload/%.c
	@echo "  CC      $< (check)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(TAP_FLAGS) -DUNWIND_CHECK -DHOOKS_DEF='"hooks.def"' -c $< -o $@

build/check/libmemtap.so: $(TAP_SOURCES:preload/%.c=build/check/%.o)
	@echo "  LINK    $@"
	$(Q)$(CC) $(TAP_LINK) -Wl,-soname,libmemtap.so $^ -o $@

-include $(TAP_SOURCES:preload/%.c=build/check/%.d)

# For make check-aarch64, with what scripts/setup aarch64 has fetched.
AARCH64_CC    ?= aarch64-linux-gnu-gcc
AARCH64_FLAGS := $(addprefix -Ibuild/aarch64/root/usr/include,/aarch64-linux-gnu /)

build/aarch64/%.o: preload/%.c
	@echo "  CC      $< (aarch64)"
	@mkdir -p $(@D)
	$(Q)$(AARCH64_CC) $(TAP_FLAGS) $(AARCH64_FLAGS) -DHOOKS_DEF='"hooks.def"' -c $< -o $@

build/aarch64/libmemtap.so: $(TAP_SOURCES:preload/%.c=build/aarch64/%.o)
	@echo "  LINK    $@"
	$(Q)$(AARCH64_CC) $(TAP_LINK) -Wl,-soname,libmemtap.so $^ -o $@

-include $(TAP_SOURCES:preload/%.c=build/aarch64/%.d)

libmemtap-je.so: $(JE_OBJECTS)
	@echo "  LINK    $@"
	$(Q)$(CC) $(TAP_LINK) -Wl,-soname,$@ $^ -o $@

$(ANALYZER): $(ANALYZER_OBJECTS)
	@echo "  LINK    $@"
	$(Q)$(CC) $(ANALYZER_LINK) $^ $(ANALYZER_ALLOC) $(ANALYZER_LIBS) -o $@

build/preload-je/%.o: preload/%.c
	@echo "  CC      $< (jemalloc)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(TAP_FLAGS) -DHOOKS_DEF='"hooks_jemalloc.def"' -DHOOKS_JEMALLOC -c $< -o $@

build/preload/%.o: preload/%.c
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(TAP_FLAGS) -DHOOKS_DEF='"hooks.def"' -c $< -o $@

$(BUILD)/analyzer/%.o: analyzer/%.c
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(ANALYZER_FLAGS) -c $< -o $@

# The rules are built in by .incbin, which -MMD does not see.
$(BUILD)/analyzer/attribute/rules.o: $(wildcard analyzer/attribute/rules/*.rules)
$(BUILD)/analyzer/model/names.o: $(wildcard analyzer/model/*.rules)

# --- installing -------------------------------------------------------------------------------------------------------

MAN := $(patsubst analyzer/commands/%.1.scd,build/man/memtap-%.1,$(filter-out %/memtap.1.scd,$(wildcard analyzer/commands/*.scd))) \
       build/man/memtap.1

build/man/memtap-%.1: analyzer/commands/%.1.scd
	@mkdir -p $(@D)
	$(Q)scdoc < $< > $@

build/man/memtap.1: analyzer/commands/memtap.1.scd
	@mkdir -p $(@D)
	$(Q)scdoc < $< > $@

man: $(MAN) ## build the manual pages

install: all man ## install under DESTDIR and PREFIX
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib/memtap include/memtap lib/pkgconfig share/man/man1 \
		share/bash-completion/completions share/memtap share/doc/memtap)
	install -m 755 memtap $(DESTDIR)$(PREFIX)/bin/
	install -m 755 libmemtap.so libmemtap-je.so $(DESTDIR)$(PREFIX)/lib/memtap/
	install -m 644 include/memtap/*.h $(DESTDIR)$(PREFIX)/include/memtap/
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' include/memtap/memtap.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/memtap.pc
	install -m 644 $(MAN) $(DESTDIR)$(PREFIX)/share/man/man1/
	for verb in pause resume; do ln -sf memtap-mark.1 $(DESTDIR)$(PREFIX)/share/man/man1/memtap-$$verb.1; done
	install -m 644 scripts/memtap.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/memtap
	install -m 644 analyzer/report/*.schema.json $(DESTDIR)$(PREFIX)/share/memtap/
	install -m 644 scripts/memtap.py $(DESTDIR)$(PREFIX)/share/memtap/
	install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/memtap/

clean: ## remove what was built
	rm -rf build memtap libmemtap.so libmemtap-je.so

-include $(TAP_OBJECTS:.o=.d) $(JE_OBJECTS:.o=.d) $(ANALYZER_OBJECTS:.o=.d)

# --- tests ------------------------------------------------------------------------------------------------------------

# Unit tests stand under tests/unit/ROOM/test_NAME.c; those of the tap link with its floors below the hooks.
UNIT_TAP      := $(wildcard tests/unit/preload/test_*.c tests/unit/include/test_*.c)
UNIT_ANALYZER := $(filter-out $(UNIT_TAP),$(wildcard tests/unit/*/test_*.c))
UNIT_PROGRAMS := $(patsubst %.c,build/tests/unit/%,$(notdir $(UNIT_TAP) $(UNIT_ANALYZER)))
TAP_FLOORS    := $(filter-out build/preload/hook_% build/preload/event% build/preload/tag.o build/preload/door.o,$(TAP_OBJECTS))
PROGRAMS      := $(patsubst tests/programs/%.c,build/tests/programs/%,$(wildcard tests/programs/*.c)) \
                 $(patsubst tests/programs/%.cc,build/tests/programs/%,$(wildcard tests/programs/*.cc)) \
                 $(patsubst tests/programs/%.go,build/tests/programs/%,$(wildcard tests/programs/*.go))
TEST_FLAGS    := $(COMMON) -Wno-error -Ianalyzer -Ipreload -Itests

.PHONY: test-programs demo test

test-programs: $(UNIT_PROGRAMS) $(PROGRAMS) ## build the unit tests and the programs that tests run

define unit_program
build/tests/unit/$(basename $(notdir $(1))): $(1) $(2)
	@echo "  TEST    $(1)"
	@mkdir -p build/tests/unit build/tests/deps
	$$(Q)$$(CC) $$(TEST_FLAGS) -MF build/tests/deps/$$(@F).d -DHOOKS_DEF='"hooks.def"' $$< $(2) -lcmocka $(3) -o $$@
endef
$(foreach test,$(UNIT_TAP),$(eval $(call unit_program,$(test),$(TAP_FLOORS),-ldw -lelf -lm -pthread)))
$(foreach test,$(UNIT_ANALYZER),$(eval $(call unit_program,$(test),$(ANALYZER_ROOMS),$(ANALYZER_LIBS))))

build/tests/programs/%.so: tests/programs/%.so.c
	@echo "  PROGRAM $<"
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -fPIC -shared -Iinclude $< -ldl -o $@

build/tests/programs/%: tests/programs/%.c $(wildcard tests/programs/*.h)
	@echo "  PROGRAM $<"
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Iinclude $< -pthread -ldl -o $@

build/tests/programs/%: tests/programs/%.cc $(wildcard tests/programs/*.h)
	@echo "  PROGRAM $<"
	@mkdir -p $(@D)
	$(Q)$(CXX) -O2 -g -Wall -Wextra -Iinclude $< -pthread -ldl -o $@

build/tests/programs/%: tests/programs/%.go
	@echo "  PROGRAM $<"
	@mkdir -p $(@D)
	$(Q)GOCACHE=$(CURDIR)/build/tests/go-cache GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=1 go build -o $@ $<

-include $(UNIT_PROGRAMS:build/tests/unit/%=build/tests/deps/%.d)

BENCH_PROGRAMS := $(patsubst tests/bench/%,build/tests/bench/%,$(basename $(wildcard tests/bench/*.c tests/bench/*.cc)))
BENCH_FLAGS    := -O2 -g -fomit-frame-pointer -Wall -Wextra -Iinclude

.PHONY: bench
build/tests/bench/%.so: tests/bench/%.so.c tests/bench/engine.h
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(BENCH_FLAGS) -fPIC -shared $< -o $@

build/tests/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(BENCH_FLAGS) $< -pthread -ldl -o $@

build/tests/bench/%: tests/bench/%.cc
	@mkdir -p $(@D)
	$(Q)$(CXX) $(BENCH_FLAGS) $< -o $@

# With the small engine as a library: calls of it come by the tap, as an engine's do.
build/tests/bench/hooks: tests/bench/hooks.c tests/bench/engine.h build/tests/bench/engine.so
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(BENCH_FLAGS) $< build/tests/bench/engine.so -Wl,-rpath,'$$ORIGIN' -o $@

bench: all $(BENCH_PROGRAMS) ## measure against other tools: BENCH="[SECTION ...] --quick --rounds N --json FILE"
	tests/bench/bench $(BENCH)

.PHONY: check-unwinding
check-unwinding: build/check/libmemtap.so build/tests/bench/pairs test-programs ## compare millions of stacks with fresh walks: MILLIONS=2
	tests/check-unwinding $(MILLIONS)

demo: ## what ./scripts/demo does
	./scripts/demo

test: ## what ./scripts/test does
	./scripts/test

.PHONY: seed-table
seed-table: all ## gemma3:12b beside phi4:14b at their real shapes: where each GiB is (15 GiB of memory, 3 minutes)
	tests/seed/seed-table

build/aarch64/oracle: tests/programs/oracle.c
	@echo "  PROGRAM $< (aarch64)"
	$(Q)$(AARCH64_CC) $(TEST_FLAGS) -MF build/aarch64/oracle.d -pthread $< -o $@

-include build/aarch64/oracle.d

.PHONY: check-aarch64
check-aarch64: all ## the tap built for aarch64, and the oracle's books under qemu (fetches 150 MB once)
	scripts/setup aarch64
	$(MAKE) --no-print-directory build/aarch64/libmemtap.so build/aarch64/oracle
	tests/run tests/check-aarch64

.PHONY: check-ollama
check-ollama: all ## a real Ollama under the plain LD_PRELOAD line (builds it once: 2 minutes, 94 MB in ~/.cache)
	tests/run tests/engines/ollama/check

.PHONY: check-pytorch check-onnxruntime
check-pytorch: all ## a real PyTorch under the tap (unpacks Debian 12's once: 1 minute, 1 GB in ~/.cache)
	tests/run tests/engines/pytorch/check

check-onnxruntime: all ## a real ONNX Runtime under the tap (onnxruntime-node by npm once: 300 MB)
	tests/run tests/engines/onnxruntime/check

.PHONY: check-components
check-components: all ## components of three real builds of llama.cpp, loaded in every way (6 minutes)
	PATH="$(CURDIR)/build/node/bin:$$PATH" COMPONENTS=all tests/run tests/suites/components

# --- habits -----------------------------------------------------------------------------------------------------------

SOURCES = $(shell git ls-files -co --exclude-standard '*.c' '*.h' '*.cc')

format: ## put every source file into the project's format
	@clang-format -i $(SOURCES)

lint: all ## formatting, layers, hooks, sizes, and clang-tidy
	@clang-format --dry-run --Werror $(SOURCES)
	scripts/check-layers
	scripts/check-hooks
	scripts/check-hooks libmemtap-je.so preload/hooks_jemalloc.def - build/preload-je
	scripts/check-size
	scripts/check-docs
	@$(CC) $(TAP_FLAGS) -MF /dev/null -DMEMTAP_ARCH_UNKNOWN -DHOOKS_DEF='"hooks.def"' -fsyntax-only $(TAP_SOURCES)
	@clang-tidy --quiet $(ANALYZER_SOURCES) -- $(filter-out -Werror,$(COMMON)) -Ianalyzer 2>/dev/null
	@clang-tidy --quiet $(TAP_SOURCES) -- $(filter-out -Werror,$(COMMON)) -DHOOKS_DEF='"hooks.def"' 2>/dev/null

# --- fuzzing ----------------------------------------------------------------------------------------------------------

FUZZ_SECONDS ?= 60
FUZZ_FLAGS   := -std=gnu11 -D_GNU_SOURCE -g -O1 -Iinclude -Ianalyzer -Itests -DMEMTAP_VERSION='"$(VERSION)"' \
                -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined

FUZZ_TARGETS := trace lanes residency gguf safetensors torch
build/fuzz/fuzz_trace: $(wildcard analyzer/base/*.c analyzer/trace/*.c analyzer/heap/*.c)
build/fuzz/fuzz_lanes: analyzer/base/memory.c analyzer/trace/lanes.c
build/fuzz/fuzz_residency: $(wildcard analyzer/base/*.c analyzer/residency/*.c)
build/fuzz/fuzz_gguf build/fuzz/fuzz_safetensors build/fuzz/fuzz_torch: $(wildcard analyzer/base/*.c analyzer/model/*.c)

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c
	@echo "  FUZZ    $@"
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) $^ -lzstd -ljansson -o $@

build/fuzz/seeds-%: tests/support/models.py scripts/make-gguf
	@mkdir -p build/fuzz
	$(Q)python3 tests/support/models.py build/fuzz
	@touch $@

build/fuzz/seeds-lanes: tests/fuzz/corpus-trace
	@mkdir -p $@ && cp tests/fuzz/corpus-trace/payload-* $@ && touch $@

build/fuzz/seeds-trace build/fuzz/seeds-residency: build/fuzz/seeds-%: tests/fuzz/corpus-%
	@mkdir -p $@ && cp tests/fuzz/corpus-$*/* $@ && touch $@

.PHONY: fuzz $(addprefix fuzz-,$(FUZZ_TARGETS))
fuzz: $(addprefix fuzz-,$(FUZZ_TARGETS)) ## fuzz the readers for FUZZ_SECONDS each, under ASan and UBSan

$(addprefix fuzz-,$(FUZZ_TARGETS)): fuzz-%: build/fuzz/fuzz_% build/fuzz/seeds-%
	@mkdir -p build/fuzz/corpus-$*
	build/fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
		-artifact_prefix=build/fuzz/$*- build/fuzz/corpus-$* build/fuzz/seeds-$*
