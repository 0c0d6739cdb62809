#!/bin/sh
# What the matrix' container starts with: runs the command given, as the user whose results it writes.
#
# results/ lies on the host, where Docker makes it as root if it is missing. A container can tell
# whose it is to be by the owner of a file of theirs, so the compose file is mounted too. Scenarios
# never run as root: where the file is root's, they run as another user, and root gets the results
# back. (Of a rootless engine that root is the user who started it.)
set -eu
owner=$(stat -c %u:%g docker-compose.yml)
user=$owner
[ "${owner%:*}" != 0 ] || user=1000:1000
chown -hR "$user" results
rm -rf results/logs

HOME=/tmp setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups "$@" &
trap 'kill -TERM $!' INT TERM
status=0
wait $! || status=$?
# A signal ends the wait, and not yet the run, which still writes what it has.
while kill -0 $! 2>/dev/null; do
    status=0
    wait $! || status=$?
done

# What the peers said, stack traces of broken libraries among it, is for when something is red.
if [ "$status" != 0 ]; then
    mkdir -p results/logs
    for peer in $(echo "$INTEROP_PEERS" | tr , ' '); do
        [ ! -s "logs/$peer.log" ] || cp "logs/$peer.log" results/logs/
    done
    echo "what the peers said: $INTEROP_RESULTS/logs"
fi
chown -hR "$owner" results
exit "$status"
