#!/bin/sh
# Takes --width=N and --label=TEXT, prints a loss.
set -eu
for argument in "$@"; do
    case "$argument" in
        --width=*) width="${argument#*=}" ;;
        --label=*) label="${argument#*=}" ;;
        *) echo "unknown argument: $argument" >&2; exit 2 ;;
    esac
done
printf 'label is [%s]\n' "$label"
awk -v width="$width" 'BEGIN { for (epoch = 1; epoch <= 3; epoch++) printf "epoch=%d loss=%.4f\n", epoch, 1 / (epoch + width) }'
