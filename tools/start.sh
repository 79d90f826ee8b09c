# Starts Node with the rest of this file, in which this part is a comment (`tools/bundle.js`).
# V8 has four threads that optimise what the guest's thread runs. Where there are no more than two
# processors they take from it what they give, and one does better; how many is an option of Node's
# command line (docs/decisions/0008-code-cache.md). So is what gives machine code of WebAssembly
# (fallback/wasm/machine-code.ts). Nothing of this starts another process.
online=
{ read -r online < /sys/devices/system/cpu/online; } 2> /dev/null
case $online in
0 | 0-1) exec node --allow-natives-syntax --v8-pool-size=1 "$0" "$@" ;;
esac
exec node --allow-natives-syntax "$0" "$@"
