package main

import (
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// sources holds "MODULE=DIGEST ..." of the modules that the peer was built from. A program does not
// know its sources, so the build sets it, to what the peer prints with --sources:
//
//	go build -ldflags "-X 'main.sources=$(go run . --sources)'" .
var sources string

func digests() object {
	found := object{}
	for _, each := range strings.Fields(sources) {
		module, digest, _ := strings.Cut(each, "=")
		found[module] = digest
	}
	return found
}

// listed makes a line of each file of each package of a module: "MODULE\tPACKAGE/FILE\tFOLDER".
const listed = `{{with .Module}}{{if not .Main}}{{range $.GoFiles}}` +
	`{{$.Module.Path}}	{{$.ImportPath}}/{{.}}	{{$.Dir}}{{"\n"}}{{end}}{{end}}{{end}}`

// moduleSources returns the value for sources. It reads the folders that the go command compiles, in
// the module cache, in a vendor folder, or where go.mod's replace leads.
func moduleSources() string {
	list := exec.Command("go", "list", "-deps", "-f", listed, ".")
	list.Stderr = os.Stderr
	output, err := list.Output()
	if err != nil {
		log.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	sort.Strings(lines)
	text := map[string]string{}
	for _, line := range lines {
		parts := strings.Split(line, "\t")
		content, err := os.ReadFile(filepath.Join(parts[2], path.Base(parts[1])))
		if err != nil {
			log.Fatal(err)
		}
		text[parts[0]] += fmt.Sprintf("%s\x00%d\x00%s", parts[1], len(content), content)
	}
	var found []string
	for module, all := range text {
		digest := sha256.Sum256([]byte(all))
		found = append(found, fmt.Sprintf("%s=%x", module, digest[:8]))
	}
	sort.Strings(found)
	return strings.Join(found, " ")
}
