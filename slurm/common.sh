#!/bin/bash
# What the job scripts share. A script sources it, and then
#
#   step COMMAND...       runs it in each task of the job; a function of this file is a command, too
#   ranks COMMAND...      runs it as the ranks of one job
#   new_table FILE        the CSV that rows go to
#   write_table           puts the rows that are there into it
#
# Executed, it is what a step runs in each task: tells the binding, then runs its arguments.
#
# Invariants:
# * Each task says on standard error where it is bound, before it does anything.
# * A row is a file of its own until it is in the table, so tasks on different nodes never write to
#   one file, whatever the file system does about locks.

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# ---- Where things are ----

# The directory of this file, the project's build beside it, and where compiled modules are kept: on
# the node, since they depend on its CPU, and many nodes reading one file at once are slow.
set_up() {
    MOBULA_SLURM=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    if [[ -z ${MOBULA:-} ]]; then
        MOBULA=$(command -v mobula || echo "$MOBULA_SLURM/../target/release/mobula")
    fi
    [[ -x $MOBULA ]] || die "no mobula on the PATH nor at $MOBULA; set MOBULA to it"
    # A directory that only the submitting host had.
    [[ -d ${TMPDIR:-/tmp} ]] || unset TMPDIR
    MOBULA_CACHE=${MOBULA_CACHE:-${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/mobula-cache-$(id -u)}
    export MOBULA MOBULA_CACHE MOBULA_SLURM
    # Settings of OpenMP bind or multiply threads behind the back of the affinity mask.
    local name
    for name in $(compgen -e | grep -E '^(OMP|GOMP|KMP)_' || true); do unset "$name"; done
}

# ---- Steps and their binding ----

# Since Slurm 22.05 a step does not inherit --cpus-per-task.
step() { # [SRUN OPTIONS] COMMAND...
    local options=()
    while [[ $1 == --* ]]; do
        options+=("$1")
        shift
    done
    srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --ntasks-per-node=1 --cpu-bind=cores \
        "${options[@]}" bash "$MOBULA_SLURM/common.sh" "$@"
}

# Runs a command as the ranks of one job; one that fails or is killed takes the others along.
ranks() { # [SRUN OPTIONS] COMMAND...
    srun --mpi=pmix --kill-on-bad-exit=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
        --cpu-bind=cores "$@"
}

# Says where this task runs, in one line, and warns of a mask that is probably a mistake.
tell_binding() {
    local cpus node='' count
    cpus=$(taskset -pc $$ 2>/dev/null | sed 's/.*: //' || true)
    count=$(nproc)
    if command -v numactl >/dev/null; then
        node=", memory of NUMA nodes $(numactl --show | sed -n 's/^membind: *//p')"
    fi
    printf 'task %s on %s: %s CPUs (%s)%s\n' \
        "${SLURM_PROCID:-0}" "$(uname -n)" "$count" "${cpus:-mask unknown}" "$node" >&2
    if ((count == 1)); then
        printf 'warning: %s: one CPU only, so one thread; ask for --cpus-per-task, at srun too\n' \
            "task ${SLURM_PROCID:-0} on $(uname -n)" >&2
    fi
}

# ---- Tables: CSV from many tasks ----

new_table() { # FILE
    TABLE=$(realpath -m -- "$1")
    # Of this job only: a table of an earlier job may have had the same name.
    ROWS=$TABLE.rows.${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}
    export TABLE ROWS
    mkdir -p "$ROWS"
}

# One value as CSV. Line ends become blanks, so that a row is a line.
quoted() {
    local text=${1//[$'\r\n']/ }
    printf '"%s"' "${text//\"/\"\"}"
}

add_row() { # NAME LINE: a name that no other row of this table has; rows are sorted by it
    printf '%s\n' "$2" >"$ROWS/$1.part"
    mv -- "$ROWS/$1.part" "$ROWS/$1.row"
}

# Of the tasks of an array, the one that puts its table in place last may have looked earlier than
# another one; so each looks again, until nothing new has come.
write_table() {
    local before after part=$TABLE.part.$SLURM_JOB_ID
    after=$(find "$ROWS" -name '*.row' | sort)
    until [[ $after == "${before-none}" ]]; do
        before=$after
        echo 'run,input,host,threads,seconds,exit,output' >"$part"
        find "$ROWS" -name '*.row' -print0 | sort -z | xargs -0 -r cat -- >>"$part"
        mv -- "$part" "$TABLE"
        after=$(find "$ROWS" -name '*.row' | sort)
    done
    # An array's other tasks may still add to them.
    [[ -n ${SLURM_ARRAY_JOB_ID:-} ]] || rm -r -- "$ROWS"
}

# ---- What tasks do ----

statistic() { # NAME FILE
    sed -n "s/^ *\"$1\": \([0-9.]*\),\{0,1\}$/\1/p" "$2"
}

# One run, one row; the output itself goes to standard output. The exit code is the run's.
run_row() { # NAME MODULE INPUT [OPTIONS OF mobula run...]
    local scratch code=0
    scratch=$(mktemp -d)
    "$MOBULA" run --alone "$2" --input "$3" --output - --stats "$scratch/stats" "${@:4}" \
        >"$scratch/out" || code=$?
    cat "$scratch/out"
    [[ -e $scratch/stats ]] || : >"$scratch/stats"
    add_row "$1" "$(printf '%s,' "$1" "$(quoted "$3")" "$(uname -n)" \
        "$(statistic threads "$scratch/stats")" "$(statistic seconds "$scratch/stats")" \
        "$code")$(quoted "$(<"$scratch/out")")" || die "cannot write the row of $1 below $ROWS"
    rm -r -- "$scratch"
    return "$code"
}

# One run of a job of so many ranks, one row; it is the batch script that does this, not a step.
rank_row() { # NAME MODULE INPUT RANKS [OPTIONS OF mobula run...]
    local code=0 scratch=$ROWS/$1.scratch
    mkdir "$scratch"
    ranks --ntasks="$4" "$MOBULA" run "$2" --input "$3" --output "$scratch/out" \
        --stats "$scratch/stats" "${@:5}" >"$scratch/said" || code=$?
    touch "$scratch/stats" "$scratch/out"
    add_row "$1" "$(printf '%s,' "$1" "$(quoted "$3")" "$(uname -n)" \
        "$(statistic threads "$scratch/stats")" "$(statistic seconds "$scratch/stats")" \
        "$code")$(quoted "$(cat "$scratch/said" "$scratch/out")")"
    rm -r -- "$scratch"
    return "$code"
}

# Every task of a step takes the lines of INPUTS whose number leaves its own number as remainder.
run_share() { # MODULE INPUTS
    local line number=0 failed=0
    while IFS= read -r line || [[ -n $line ]]; do
        if ((number % SLURM_NTASKS == SLURM_PROCID)); then
            run_row "$(printf '%06d' "$number")" "$1" "$line" </dev/null || failed=1
        fi
        number=$((number + 1))
    done <"$2"
    return "$failed"
}

set_up
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set -euo pipefail
    tell_binding
    "$@"
fi
