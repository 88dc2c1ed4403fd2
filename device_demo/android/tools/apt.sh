# Fetching Debian sources, and packages of other machines, with apt's lists in a folder of their own, so that the
# machine's configuration stays as it is. To be sourced.

# private_apt FOLDER [ARCHITECTURE]: sets the array `apt`, the command to use, and reads the lists.
private_apt() {
  local folder="$1" mirror
  mkdir -p "$folder"/apt/{state/lists/partial,cache/archives/partial}
  mirror="$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)"
  [ -n "$mirror" ] ||
    mirror="$(sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1)"
  [ -n "$mirror" ] || { echo "no Debian mirror in /etc/apt" >&2; return 1; }
  local release="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main"
  printf 'deb %s\ndeb-src %s\n' "$release" "$release" >"$folder/apt/list"
  apt=(apt-get -qq -o Dir::State="$folder/apt/state" -o Dir::State::status=/dev/null
    -o Dir::Cache="$folder/apt/cache" -o Dir::Etc::sourcelist="$folder/apt/list" -o Dir::Etc::sourceparts=-
    -o APT::Sandbox::User="$(id -un)")
  [ -z "${2:-}" ] || apt+=(-o APT::Architecture="$2" -o APT::Architectures="$2")
  "${apt[@]}" update
}
