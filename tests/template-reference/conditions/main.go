// Evaluates every condition of a list by expr-lang, as Argo CD's notifications do, and writes the list with what came out:
// `go run ./conditions < ../fixtures/template/conditions.json > ../fixtures/template/conditions-expected.json`.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/expr-lang/expr"
)

type made struct {
	Condition string `json:"condition"`
	Value     string `json:"value,omitempty"`
	Error     string `json:"error,omitempty"`
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
		Data       map[string]any `json:"data"`
		Conditions []string       `json:"conditions"`
	}
	if err := decoder.Decode(&cases); err != nil {
		panic(err)
	}
	plain(cases.Data)
	cases.Data["time"] = map[string]any{
		"Parse": func(text string) time.Time {
			parsed, err := time.Parse(time.RFC3339, text)
			if err != nil {
				panic(err)
			}
			return parsed
		},
		"Minute": time.Minute,
		"Second": time.Second,
	}
	var all []made
	for _, condition := range cases.Conditions {
		result := made{Condition: condition}
		program, err := expr.Compile(condition)
		var value any
		if err == nil {
			value, err = expr.Run(program, cases.Data)
		}
		if err != nil {
			result.Error = strings.SplitN(err.Error(), "\n", 2)[0]
		} else {
			result.Value = fmt.Sprintf("%v", value)
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
