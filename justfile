# `just` lists these. People and CI run the same ones.

set shell := ["bash", "-euo", "pipefail", "-c"]

export CARGO_TERM_COLOR := "always"

# What the demo deploys
guests := "counter drop-four timer tic-tac-toe todo whiteboard text auction"

[private]
default:
    @just --list --unsorted

# Build the host and the example machines, start it on an empty data directory (deleted at the end), deploy them, print the address
demo listen="127.0.0.1:8080": _target
    #!/usr/bin/env bash
    set -euo pipefail
    # The host alone, and in a profile that takes the least work: Cargo.toml says how.
    cargo build --locked --profile demo --package reapply-cli
    reapply="$(just _target-dir)/demo/reapply"
    data="$(mktemp -d)"
    trap 'kill -TERM "${host:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$data"' EXIT
    trap 'exit 0' INT TERM
    "$reapply" serve --data "$data/data" --listen "{{ listen }}" --pages demo > "$data/address" &
    host=$!
    until address="$(grep -om1 'http://.*' "$data/address")"; do
        kill -0 "$host" 2>/dev/null || exit 1
        sleep 0.1
    done
    for guest in {{ guests }}; do "$reapply" deploy "guests/$guest" --host "$address"; done
    printf '\n  Open %s in two windows. Ctrl-C ends the demo.\n\n' "$address"
    wait "$host"

# All that must hold: style, lints, docs, tests, the browser, the benchmarks at a small scale (installs Chromium, nginx and Caddy with apt if it may)
test: check _chromium _proxies
    REAPPLY_BIN="$(just _reapply)" cargo test --workspace
    "$(just _target-dir)/debug/reapply-bench" --quick --host-bin "$(just _reapply)"

# What takes longer: crashes and failing storage, over many rounds, and rooms with many entries: just test-long 1000 100000
test-long rounds="100" entries="100000": _target
    REAPPLY_CRASH_ROUNDS={{ rounds }} REAPPLY_LONG_ENTRIES={{ entries }} cargo test --workspace --test crash -- --nocapture --test-threads=1

# Rooms of each building block with many entries, killed, proved, upgraded and looked at in the middle: just grow 100000
grow entries="100000": _target
    REAPPLY_LONG_ENTRIES={{ entries }} cargo test --release --workspace --test crash long:: -- --nocapture

# What changes no source: format, the shape of the code, wording, lints, docs, and that sync/ and client/ build for wasm32
check: _target
    cargo fmt --all --check
    cargo test -q --workspace --test circles --test floors --test map --test sizes --test words
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy -p reapply-web --target wasm32-unknown-unknown -- -D warnings
    cargo check -p reapply-sync -p reapply-client-core --target wasm32-unknown-unknown
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps -q

# Mend what can be mended by a tool
fix: _target
    cargo fmt --all
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged

# The protocol and the building blocks over a simulated network, with any number of seeds: just simulate 100000
simulate seeds="10000":
    REAPPLY_SEEDS={{ seeds }} cargo test --release -p reapply-sync --test simulation -- --nocapture
    REAPPLY_SEEDS={{ seeds }} cargo test --release -p reapply-guest --test merge -- --nocapture

# Plant faults in the protocol one by one, to see that its tests find them: just plant, or those with such names: just plant alarm upgrade
plant *names:
    cargo run -q -p reapply-plants -- {{ names }}

# Measure, with the release build: just bench --only a,b
bench *args: _target
    cargo build --release --workspace --bin reapply --bin reapply-bench
    target="$(just _target-dir)"; "$target/release/reapply-bench" --host-bin "$target/release/reapply" {{ args }}

# Make the npm package's dist/ from web-client/
web: _target
    cargo run --bin reapply-web-bundle

# Render the book in docs/, and print where it is
book:
    cargo run -q -p reapply-book

# Make the fixture of a new format of the data directory or of exports; one that exists stays as it is
fixture: _target
    mkdir -p host/cli/tests/fixtures
    cargo test --workspace --test serve -- --ignored --exact fixtures::a_fixture_of_this_version_is_made

# Take the README's picture anew
screenshot: _target _chromium
    REAPPLY_BIN="$(just _reapply)" cargo run --example screenshot -- docs/demo.png

[private]
_target-dir:
    @cargo metadata --format-version 1 --no-deps | sed -E 's/.*"target_directory":"([^"]+)".*/\1/'

# Builds the host and prints where it is. Always with all targets of the workspace: what tests depend on has other features, and so would be built
# a second time.
[private]
_reapply:
    @cargo build --workspace --all-targets
    @echo "$(just _target-dir)/debug/reapply"

[private]
_target:
    @rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown

# The proxies that the book's chapter on them is tested with: installed where we may, explained where we may not
[private]
_proxies:
    #!/usr/bin/env bash
    set -euo pipefail
    export PATH="$PATH:/usr/sbin"
    missing=()
    command -v nginx >/dev/null || missing+=(nginx-light)
    command -v caddy >/dev/null || missing+=(caddy)
    if [ "${#missing[@]}" = 0 ]; then exit 0; fi
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    if command -v apt-get >/dev/null && "${sudo[@]}" true 2>/dev/null; then
        "${sudo[@]}" apt-get update -qq && "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "The tests of the chapter on proxies need nginx and Caddy on the PATH:" >&2
        echo "  Debian, Ubuntu: sudo apt-get install nginx-light caddy" >&2
        exit 1
    fi

# The browser that e2e/ drives: installed where we may, explained where we may not
[private]
_chromium:
    #!/usr/bin/env bash
    set -euo pipefail
    browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
    if browser >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
    elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
        sudo apt-get update -qq && sudo apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
    else
        echo "The browser tests need Chromium and its driver on the PATH:" >&2
        echo "  Debian, Ubuntu: sudo apt-get install chromium chromium-driver" >&2
        echo "  Fedora: sudo dnf install chromium chromedriver    macOS: brew install --cask chromium chromedriver" >&2
        exit 1
    fi
