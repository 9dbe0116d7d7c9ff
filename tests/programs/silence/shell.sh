#!/usr/bin/env bash
# What shells do all day: pipes, subshells, background jobs, here-documents, traps, coprocesses.
set -u
trap 'echo "at exit: $?"' EXIT
trap 'echo "got USR1"' USR1

seq 1 1000 | grep 7 | sort -r | head -n 3 | tr '\n' ' '
echo
(cd / && pwd; exit 3); echo "subshell: $?"
echo "nested: $(echo "$(echo "$(echo deep)")")"

for i in 1 2 3; do
    (sleep "0.0$i"; exit "$i") &
done
for job in $(jobs -p); do wait "$job"; echo "job: $?"; done

cat <<END
a here-document of $((6 * 7)) lines
END
tr a-z A-Z <<<'a here-string'
diff <(seq 3) <(seq 2) | tail -n 1

kill -USR1 $$
(trap 'echo "child got TERM"; exit 5' TERM; kill -TERM $BASHPID; sleep 1) ; echo "child: $?"

coproc CAT { cat; }
cat_pid=$CAT_PID # gone once bash has seen it end
echo through a coprocess >&"${CAT[1]}"
read -r line <&"${CAT[0]}"
echo "$line"
exec {CAT[1]}>&-
wait "$cat_pid"; echo "coprocess: $?"

exec 5>notes; echo noted >&5; exec 5>&-; cat notes
set -o pipefail
false | true; echo "pipefail: $?"
{ echo out; echo err >&2; } 2>&1 | sort | tr '\n' ' '; echo
find . -name 'note*' -exec cat {} + | xargs -n 1 echo arg
(sh -c 'kill -9 $$'; echo "killed: $?") 2>&1 | sed 's/line [0-9]*: *[0-9]* /line /'
echo to stderr >&2
exit 7
