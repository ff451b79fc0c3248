// Renders every case of a list by Go's text/template with sprig, as Argo CD's notifications do, and writes the list with
// what came out: `go run . < ../fixtures/template/cases.json > ../fixtures/template/expected.json`.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
)

type made struct {
	Template string `json:"template"`
	Output   string `json:"output,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Numbers as Kubernetes' unstructured objects have them: int64 where they are whole.
func plain(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key := range value {
			value[key] = plain(value[key])
		}
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return whole
		}
		float, _ := value.Float64()
		return float
	}
	return value
}

func main() {
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	var cases struct {
		Data      map[string]any `json:"data"`
		Templates []string       `json:"templates"`
	}
	if err := decoder.Decode(&cases); err != nil {
		panic(err)
	}
	plain(cases.Data)
	cases.Data["time"] = map[string]any{
		"Parse": func(text string) (time.Time, error) { return time.Parse(time.RFC3339, text) },
		"Minute": time.Minute,
	}
	functions := template.FuncMap(sprig.GenericFuncMap())
	for _, refused := range []string{"env", "expandenv", "getHostByName"} {
		delete(functions, refused)
	}
	var all []made
	for _, text := range cases.Templates {
		result := made{Template: text}
		parsed, err := template.New("case").Funcs(functions).Parse(text)
		var output bytes.Buffer
		if err == nil {
			err = parsed.Execute(&output, cases.Data)
		}
		if err != nil {
			result.Error = strings.SplitN(err.Error(), "\n", 2)[0]
		} else {
			result.Output = output.String()
		}
		all = append(all, result)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(all); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
