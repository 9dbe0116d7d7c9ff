# memtap: see README.md. `make help` lists the targets.
#
#   make DEBUG=1     -O0 and assertions          make SAN=address,undefined   sanitizers in the analyzer and its tests
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
TAP_LINK  := -shared -Wl,-z,now,-z,relro,-z,nodelete,--no-undefined,--hash-style=gnu,--build-id

# The analyzer runs on jemalloc: many small blocks, freed in bulk.
ANALYZER_LIBS  := -ldw -lelf -liberty -lzstd -ljansson -lm
ANALYZER_ALLOC := $(if $(SAN),,-ljemalloc)
ANALYZER_FLAGS := $(COMMON) -Ianalyzer -DINSTALL_PREFIX='"$(PREFIX)"' $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
ANALYZER_LINK  := $(if $(SAN),-fsanitize=$(SAN)) -Wl,-z,relro,-z,now

TAP_SOURCES      := $(filter-out preload/hook_jemalloc.c,$(wildcard preload/*.c))
TAP_OBJECTS      := $(TAP_SOURCES:%.c=build/%.o)
JE_OBJECTS       := $(addprefix build/preload-je/,hook_jemalloc.o real.o sys.o)
ANALYZER_SOURCES := $(wildcard analyzer/*.c analyzer/*/*.c)
ANALYZER_OBJECTS := $(ANALYZER_SOURCES:%.c=$(BUILD)/%.o)
ANALYZER_ROOMS   := $(filter-out $(BUILD)/analyzer/main.o,$(ANALYZER_OBJECTS))

.DELETE_ON_ERROR:
.PHONY: all help clean

all: libmemtap.so libmemtap-je.so memtap ## build the tap and the analyzer

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

libmemtap.so: $(TAP_OBJECTS)
	@echo "  LINK    $@"
	$(Q)$(CC) $(TAP_LINK) -Wl,-soname,$@ $^ -o $@

libmemtap-je.so: $(JE_OBJECTS)
	@echo "  LINK    $@"
	$(Q)$(CC) $(TAP_LINK) -Wl,-soname,$@ $^ -o $@

memtap: $(ANALYZER_OBJECTS)
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
                 $(patsubst tests/programs/%.cc,build/tests/programs/%,$(wildcard tests/programs/*.cc))
TEST_FLAGS    := $(COMMON) -Wno-error -Ianalyzer -Ipreload -Itests

.PHONY: test-programs demo test

test-programs: $(UNIT_PROGRAMS) $(PROGRAMS) ## build the unit tests and the programs that tests run

define unit_program
build/tests/unit/$(basename $(notdir $(1))): $(1) $(2)
	@echo "  TEST    $(1)"
	@mkdir -p build/tests/unit build/tests/deps
	$$(Q)$$(CC) $$(TEST_FLAGS) -MF build/tests/deps/$$(@F).d -DHOOKS_DEF='"hooks.def"' $$< $(2) -lcmocka $(3) -o $$@
endef
$(foreach test,$(UNIT_TAP),$(eval $(call unit_program,$(test),$(TAP_FLOORS),-ldw -lelf -pthread)))
$(foreach test,$(UNIT_ANALYZER),$(eval $(call unit_program,$(test),$(ANALYZER_ROOMS),$(ANALYZER_LIBS))))

build/tests/programs/%: tests/programs/%.c
	@echo "  PROGRAM $<"
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Iinclude $< -pthread -ldl -o $@

build/tests/programs/%: tests/programs/%.cc
	@echo "  PROGRAM $<"
	@mkdir -p $(@D)
	$(Q)$(CXX) -O2 -g -Wall -Wextra -Iinclude $< -pthread -ldl -o $@

-include $(UNIT_PROGRAMS:build/tests/unit/%=build/tests/deps/%.d)

demo: ## what ./scripts/demo does
	./scripts/demo

test: ## what ./scripts/test does
	./scripts/test

# --- fuzzing ----------------------------------------------------------------------------------------------------------

FUZZ_SECONDS ?= 60
FUZZ_FLAGS   := -std=gnu11 -D_GNU_SOURCE -g -O1 -Iinclude -Ianalyzer -Itests -DMEMTAP_VERSION='"$(VERSION)"' \
                -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(wildcard analyzer/base/*.c analyzer/trace/*.c analyzer/heap/*.c)
	@echo "  FUZZ    $@"
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_FLAGS) $^ -lzstd -o $@

.PHONY: fuzz
fuzz: build/fuzz/fuzz_trace ## fuzz the readers for FUZZ_SECONDS each, under ASan and UBSan
	@mkdir -p build/fuzz/corpus-trace
	build/fuzz/fuzz_trace -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
		build/fuzz/corpus-trace tests/fuzz/corpus-trace
