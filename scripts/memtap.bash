# Completion of memtap for bash.
_memtap() {
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
    local verbs='run report leaks model ls dump mark pause resume pack rules doctor help --version'
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word")
        return
    fi
    case ${COMP_WORDS[COMP_CWORD - 1]} in
    --by) mapfile -t COMPREPLY < <(compgen -W 'component site module thread time' -- "$word"); return ;;
    --at) mapfile -t COMPREPLY < <(compgen -W 'end peak' -- "$word"); return ;;
    --kv-type) mapfile -t COMPREPLY < <(compgen -W 'f16 q8_0 q4_0 f32 bf16' -- "$word"); return ;;
    --allocator) mapfile -t COMPREPLY < <(compgen -W 'glibc jemalloc' -- "$word"); return ;;
    esac
    local options=''
    case $verb in
    run) options='--output --force --quiet --allocator --limit --sample --no-follow --' ;;
    report) options='--at --by --top --pid --json --why --rules --quiet --verbose' ;;
    leaks) options='--json --top --rules --quiet' ;;
    model) options='--mmproj --ctx --parallel --kv-type --batch --session --at --json' ;;
    ls) options='--all --quiet' ;;
    dump) options='--live --pages' ;;
    pack) options='--output' ;;
    rules) [ "$COMP_CWORD" = 2 ] && options='check list' && mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") && return ;;
    help) options=$verbs ;;
    doctor) mapfile -t COMPREPLY < <(compgen -c -- "$word"); return ;;
    esac
    case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    esac
}
complete -o filenames -F _memtap memtap
