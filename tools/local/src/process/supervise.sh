# Runs a program until it ends or until standard input closes, which happens when our parent is
# gone for any reason, SIGKILL included. Then the program ends too, with everything that it started,
# including processes in a process group of their own (`cargo lambda watch` creates one for the
# functions).
#
#   sh -c <this> supervise LOG PROGRAM ARGUMENTS…
#
# Prints the program's process id. Every line of standard input is a signal for the program, and is
# printed when it has been sent.

# Process ids of the children of process $1 that have not ended.
children_of() {
    if [ -r /proc/self/stat ]; then
        for stat in /proc/[0-9]*/stat; do
            { read -r line <"$stat"; } 2>/dev/null || continue
            rest=${line##*) } # the name, in parentheses, may hold anything
            state=${rest%% *}
            rest=${rest#* }
            if [ "${rest%% *}" = "$1" ] && [ "$state" != Z ]; then echo "${line%% *}"; fi
        done
    else
        ps -A -o pid= -o ppid= -o stat= | while read -r pid parent state; do
            case $parent/$state in
            "$1"/Z*) ;;
            "$1"/*) echo "$pid" ;;
            esac
        done
    fi
}

# Ends process $1 and all its descendants. A stopped process cannot start further children while we
# look for them; if something has continued it, the next look finds them.
end() {
    for look in 1 2 3 4 5; do
        kill -STOP "$1" 2>/dev/null
        children=$(children_of "$1")
        if [ -z "$children" ]; then break; fi
        for child in $children; do end "$child"; done
    done
    kill -KILL "$1" 2>/dev/null
}

log=$1
shift
# When our parent dies, writing to it raises SIGPIPE; and if the program is stopped at that moment,
# the kernel hangs up on our process group and continues it (POSIX: a newly orphaned group with a
# stopped member). Neither must end us before the program has ended.
trap '' HUP PIPE
exec 3<&0
(
    trap - HUP PIPE
    exec "$@"
) </dev/null >>"$log" 2>&1 3<&- &
program=$!
echo "$program" 2>/dev/null

{
    while read -r signal; do
        kill -"$signal" "$program" 2>/dev/null
        echo "$signal" 2>/dev/null
    done
    end "$program"
} <&3 &
listener=$!
exec 3<&- </dev/null

# The program is killed last, so this does not cut `end` short.
wait "$program" 2>/dev/null  # some shells say "Killed"
status=$?
kill "$listener" 2>/dev/null
exit "$status"
